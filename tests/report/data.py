"""Sample data in the form that `tagwire report` writes, and the page made from it. The same call gives the same data."""

import base64
import hashlib
import json
import pathlib
import random

ASSETS = pathlib.Path(__file__).resolve().parents[2] / "cli/src/commands/report"
ACCOUNT, REGION = "123456789012", "eu-central-1"
# How a service calls its groups, its data stores' ARNs and kinds, and its usual port.
SERVICES = {
    "RDS": ("rds", "rds", "cluster", "5432"),
    "DocumentDB": ("docdb", "rds", "cluster", "27017"),
    "Neptune": ("neptune", "rds", "cluster", "8182"),
    "ElastiCache": ("elasticache", "elasticache", "replicationgroup", "6379-6380"),
    "Redshift": ("redshift", "redshift", "cluster", "5439"),
}
REASONS = {
    "connected": (None, None),
    "drifted": ("pair-modified", "a rule was added to the store side that is not the pair's; it is taken away by the next sweep"),
    "waiting": ("not-available", "the data store is being modified; it is connected as soon as it is available"),
    "refused": ("interface-group-limit", "the interface carries 5 of 5 groups: raise quota L-2AFB9258, or take a group off it"),
}


def asset(name):
    return (ASSETS / name).read_text(encoding="utf-8")


def digest(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def fill(document):
    """The page around a JSON text that is put in as it is: what the command does, in the order in which it has to."""
    page = asset("page.html")
    for name, text in [("style", asset("page.css")), ("script", asset("page.js")), ("data", document)]:
        page = page.replace("{{%s}}" % name, text)
    return page


def assemble(data):
    return fill(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))


class Account:
    """Collects resources, so that what refers to one another fits together."""

    def __init__(self, complete=True, gaps=()):
        self.instances, self.stores, self.groups, self.connections = [], [], [], []
        self.changes, self.findings = {}, {}
        self.complete, self.gaps = complete, list(gaps)
        self._pairs, self._numbers = {}, {}

    def instance(self, name, vpc, names=(), zone="a"):
        entry = {"id": f"i-{len(self.instances) + 0x0A10:017x}", "name": name, "vpc": vpc, "zone": REGION + zone, "names": list(names)}
        self.instances.append(entry)
        return entry

    def store(self, name, vpc, service="RDS", names=(), zones="ab", state="available", kind=None):
        _, prefix, usual, ports = SERVICES[service]
        kind = kind or usual
        entry = {
            "arn": f"arn:aws:{prefix}:{REGION}:{ACCOUNT}:{kind}:{name}",
            "name": f"{kind}/{name}",
            "service": service,
            "vpc": vpc,
            "zones": [REGION + zone for zone in zones],
            "state": state,
            "ports": ports,
            "names": list(names),
        }
        self.stores.append(entry)
        return entry

    def pair(self, store, owned=True, side="ec2"):
        """The two groups of a data store, or the one for its clients that are no instances."""
        key = (store["arn"], owned, side)
        if key not in self._pairs:
            short, vpc = SERVICES[store["service"]][0], store["vpc"]
            number = self._numbers[vpc, short] = self._numbers.get((vpc, short), 0) + 1
            store_side = {"id": f"sg-{len(self.groups) + 0x51:017x}", "name": f"{short}-{side}-{number}"}
            instance_side = {"id": f"sg-{len(self.groups) + 0x52:017x}", "name": f"ec2-{short}-{number}"}
            if side == "cidr":
                self._group(store_side, vpc, owned, [])
                instance_side = None
            else:
                self._group(store_side, vpc, owned, [f"tcp {store['ports']} from {instance_side['id']}"])
                self._group(instance_side, vpc, owned, [f"tcp {store['ports']} to {store_side['id']}"])
            self._pairs[key] = (store_side, instance_side)
        return self._pairs[key]

    def _group(self, side, vpc, owned, rules):
        self.groups.append({**side, "vpc": vpc, "owned": owned, "rules": rules})

    def connect(self, client, store, state="connected", made_by="tagwire", code=None, reason=None, names=None):
        """A client is an instance's entry, or the text of a block or prefix list."""
        is_instance = isinstance(client, dict)
        stands = state in ("connected", "drifted")
        store_side = instance_side = None
        if stands:
            store_side, instance_side = self.pair(store, made_by == "tagwire", "ec2" if is_instance else "cidr")
            if not is_instance:
                rules = next(group["rules"] for group in self.groups if group["id"] == store_side["id"])
                rules.append(f"tcp {store['ports']} from {client}")
        zone = client["zone"] if is_instance else None
        shared = [name for name in client["names"] if name in store["names"]] if is_instance else store["names"][:1]
        crosses = stands and zone is not None and zone not in store["zones"]
        usual_code, usual_reason = REASONS[state]
        self.connections.append({
            "vpc": store["vpc"],
            "instance": client["id"] if is_instance else None,
            "client": client["id"] if is_instance else client,
            "instance_zone": zone,
            "store": store["arn"],
            "store_name": store["name"],
            "service": store["service"],
            "store_zones": store["zones"],
            "cross_az": crosses,
            "ports": store["ports"],
            "names": shared if names is None else names,
            "store_side": store_side,
            "instance_side": instance_side,
            "made_by": made_by if stands else None,
            "since": f"2026-{1 + len(self.connections) % 11:02}-{1 + len(self.connections) % 27:02}T09:30:00Z" if stands else None,
            "state": state,
            "code": code or usual_code,
            "reason": reason or usual_reason,
            "hint": f"a way out of {code or usual_code}" if state == "refused" else None,
        })
        if crosses:
            self.find(store["vpc"], "cross-az", f"connected with {store['name']}, but the two are in different Availability Zones", instance=client["id"])
        if state == "refused":
            self.find(store["vpc"], code or usual_code, reason or usual_reason, **({"instance": client["id"]} if is_instance else {"store": store["arn"]}))
        if state == "waiting":
            self.change(store["vpc"], "add", f"attach ec2-{SERVICES[store['service']][0]} to eni-1 of {self.connections[-1]['client']}: shares {' '.join(shared)} with {store['name']}", store)
        return self.connections[-1]

    def change(self, vpc, effect, action, store=None):
        self.changes.setdefault(vpc, []).append({"effect": effect, "store": store and store["arn"], "action": action})

    def find(self, vpc, code, message, hint=None, **subject):
        self.findings.setdefault(vpc, []).append({"subject": subject, "code": code, "message": message, "hint": hint})

    def data(self):
        codes = {entry["code"] for entry in [*self.connections, *(one for all_ in self.findings.values() for one in all_)]} - {None}
        vpcs = sorted({*self.changes, *self.findings})
        return {
            "version": 2,
            "tagwire": "0.1.0",
            "account": ACCOUNT,
            "region": REGION,
            "generated_at": "2026-11-24T22:00:00Z",
            "complete": self.complete,
            "status": {"version": 3, "connections": self.connections},
            "instances": self.instances,
            "stores": self.stores,
            "groups": self.groups,
            "plan": {
                "version": 5,
                "vpcs": [
                    {"vpc": vpc, "digest": f"{place:064x}", "changes": self.changes.get(vpc, []), "findings": self.findings.get(vpc, [])}
                    for place, vpc in enumerate(vpcs)
                ],
            },
            "codes": [
                {"code": code, "means": f"the meaning of {code}", "remedy": None if code == "cross-az" else f"what is done about {code}"}
                for code in sorted(codes)
            ],
            "gaps": self.gaps,
        }


def empty():
    return Account().data()


def small():
    """One of everything, few enough to be told one by one."""
    account, vpc = Account(), "vpc-1"
    orders = account.store("orders", vpc, names=["orders"], zones="a")
    sessions = account.store("sessions", vpc, "ElastiCache", names=["sessions"], state="modifying")
    lonely = account.store("archive", vpc, "DocumentDB", names=["archive"])
    first = account.instance("web-1", vpc, ["orders", "sessions"])
    second = account.instance("web-2", vpc, ["orders"], zone="b")
    third = account.instance(None, vpc, ["orders"])
    account.instance("batch-1", vpc, ["ordres"])
    account.connect(first, orders)
    account.connect(second, orders)
    account.connect(third, orders, "refused")
    account.connect(first, sessions, "waiting")
    account.connect("203.0.113.7/32", orders)
    other = account.store("ledger", "vpc-2", names=["ledger"], kind="db")
    keeper = account.instance("ledger-1", "vpc-2", ["ledger"])
    account.connect(keeper, other, "drifted", made_by="console")
    account.find(vpc, "no-match", "nothing on the other side shares a name", hint="put the name archive on an instance", store=lonely["arn"])
    account.change("vpc-2", "remove", "revoke in sg-4: tcp 22 from 0.0.0.0/0", other)
    account.change(vpc, "write", 'write on i-1: tagwire:status="connected: orders"')
    return account.data()


def moderate():
    """A platform as a company might have it: the one for the picture in the documentation."""
    account = Account()
    production, staging, analytics = "vpc-0a41c7e29d3b8f605", "vpc-0c93fe1b72a6d4081", "vpc-0f27b85d6e1c3a947"

    def fleet(name, count, vpc, names):
        return [account.instance(f"{name}-{number}", vpc, names, "abc"[number % 3]) for number in range(1, count + 1)]

    orders = account.store("orders", production, names=["orders"], zones="abc")
    history = account.store("order-history", production, "DocumentDB", names=["orders"], zones="abc")
    sessions = account.store("sessions", production, "ElastiCache", names=["sessions"], zones="abc")
    catalog = account.store("catalog", production, names=["catalog"], zones="abc")
    search = account.store("catalog-cache", production, "ElastiCache", names=["catalog"], zones="abc")
    payments = account.store("payments", production, names=["payments"], zones="ab", kind="db")
    graph = account.store("recommendations", production, "Neptune", names=["recommend"], zones="abc", state="modifying")
    shop = fleet("shop-web", 14, production, ["orders", "sessions", "catalog"])
    api = fleet("order-api", 6, production, ["orders"])
    worker = fleet("payment-worker", 3, production, ["payments", "orders"])
    recommender = fleet("recommender", 2, production, ["recommend"])
    for instance in shop:
        for store in (orders, history, sessions, catalog, search):
            account.connect(instance, store)
    for instance in api:
        for store in (orders, history):
            account.connect(instance, store)
    for instance in worker:
        account.connect(instance, payments)
    account.connect(worker[0], orders)
    account.connect(worker[1], orders, "refused")
    account.connect(worker[2], orders, "drifted")
    account.connect(worker[0], history)
    for instance in worker[1:]:
        account.connect(instance, history)
    for instance in recommender:
        account.connect(instance, graph, "waiting")
    legacy = account.instance("legacy-reports", production, [], "a")
    account.connect(legacy, orders, made_by="console", names=[])

    stage_orders = account.store("orders-staging", staging, names=["orders"], zones="a", kind="db")
    stage_cache = account.store("sessions-staging", staging, "ElastiCache", names=["sessions"], zones="a")
    for instance in fleet("stage-web", 3, staging, ["orders", "sessions"]):
        account.connect(instance, stage_orders)
        account.connect(instance, stage_cache)
    account.instance("stage-batch", staging, ["ordres"], "a")
    account.find(staging, "no-match", "nothing on the other side shares a name: ordres", instance=account.instances[-1]["id"])

    warehouse = account.store("warehouse", analytics, "Redshift", names=["warehouse"], zones="a")
    # As Auto Scaling makes them: all with the same name.
    for _ in range(8):
        account.connect(account.instance("etl", analytics, ["warehouse"], "abc"[len(account.instances) % 3]), warehouse)
    account.connect("203.0.113.0/24", warehouse)
    account.connect("pl-0a1b2c3d4e5f60718", warehouse)
    account.connect("198.51.0.0/12", warehouse, "refused", code="cidr-too-wide", reason="the block is wider than the installation lets in: /16 at most")
    account.find(production, "pair-modified", "rds-ec2-1 held a rule that is not the pair's: tcp 22 from 10.0.0.0/8", group=account.groups[0]["id"])
    account.change(production, "remove", f"revoke in {account.groups[0]['id']}: tcp 22 from 10.0.0.0/8", orders)
    account.change(staging, "write", f'write on {account.instances[-1]["id"]}: tagwire:status="no-match"')
    return account.data()


def big(instances=400, stores=60, connections=1500):
    """Hundreds of nodes with long names, in the proportions of a large account."""
    account, chance = Account(), random.Random(20261124)
    vpcs = [f"vpc-{place + 0xB0:017x}" for place in range(5)]
    names = [(vpc, f"{team}-{purpose}") for vpc in vpcs for team, purpose in [
        ("checkout", "primary"), ("checkout", "cache"), ("identity", "directory"), ("shipping", "events"), ("insights", "warehouse"), ("a.very.long.name.of.63.letters.as.the.grammar", "lets-through"),
    ]]
    by_name = {}
    for place in range(stores):
        vpc, name = names[place % len(names)]
        service = list(SERVICES)[place * 7 % 5]
        by_name.setdefault((vpc, name), []).append(account.store(f"{place}-{name}-{REGION}"[:60], vpc, service, [name], "abc"[: 1 + place % 3]))
    fleet = []
    for place in range(instances):
        vpc = vpcs[place % len(vpcs)]
        here = [name for where, name in names if where == vpc]
        chosen = chance.sample(here, 2)
        title = None if place % 17 == 0 else f"{chosen[0]}-production-autoscaled-{place:04}"
        fleet.append(account.instance(title, vpc, chosen, chance.choice("abc")))
    made = 0
    for instance in fleet:
        for name in instance["names"]:
            for store in by_name[instance["vpc"], name]:
                if made < connections:
                    made += 1
                    state = chance.choices(["connected", "drifted", "waiting", "refused"], [94, 2, 2, 2])[0]
                    account.connect(instance, store, state, made_by="console" if chance.random() < 0.02 else "tagwire")
    # What is missing is between those that share no name: it stands, and nobody asked for it.
    while made < connections:
        instance = chance.choice(fleet)
        store = chance.choice([store for store in account.stores if store["vpc"] == instance["vpc"] and not set(store["names"]) & set(instance["names"])])
        if any(one["client"] == instance["id"] and one["store"] == store["arn"] for one in account.connections[-500:]):
            continue
        made += 1
        account.connect(instance, store, made_by="other", names=[])
    return account.data()


HOSTILE = [
    "<img src=x onerror=document.title='broken'>",
    "</script><script>document.title='broken'</script>",
    "<!--<script>",
    "{{script}}{{data}}{{style}}",
    "__proto__",
    "constructor",
    "\u202emoc.live\u2066",
    "\"'`&lt;b&gt;",
    "x" * 5000,
    "\U0001f4a5" * 60,
]


def hostile():
    """Whoever may tag a resource chooses these texts, so they stand in every place."""
    account = Account(complete=True, gaps=[f"ec2:DescribeInstances: {HOSTILE[0]}"])
    for place, text in enumerate(HOSTILE):
        store = account.store("plain", "vpc-1", names=[text])
        store.update(name=text, arn=f"arn:{place}:{text}", state=text, zones=[text], ports=text)
        instance = account.instance(text, "vpc-1", [text])
        connection = account.connect(instance, store, names=[text], state="connected")
        connection.update(code=text, reason=text, made_by=text, ports=text)
        for group in account.groups[-2:]:
            group.update(name=text, rules=[f"tcp 1 from {text}"])
        connection["store_side"]["name"] = connection["instance_side"]["name"] = text
        account.connect(instance, store)["state"] = text
        account.change(text, text, text)
        account.find("vpc-1", text, text, instance=instance["id"])
        account.find("vpc-1", text, text, **{text: text})
    data = account.data()
    data["unheard of"] = {"later": ["versions"]}
    return data


def partial():
    account = Account(complete=False, gaps=["ec2:DescribeInstances on vpc-1: UnauthorizedOperation", "rds:DescribeDBClusters: Throttling"])
    store = account.store("orders", "vpc-1", names=["orders"])
    account.connect(account.instance("web-1", "vpc-1", ["orders"]), store)
    data = account.data()
    return data


SAMPLES = {sample.__name__: sample for sample in (empty, small, moderate, big, hostile, partial)}

if __name__ == "__main__":
    import sys

    # A page to look at in a browser of your own.
    sys.stdout.write(assemble(SAMPLES[sys.argv[1]]()))
