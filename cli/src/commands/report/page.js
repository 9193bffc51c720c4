"use strict";

// The page of `tagwire report`. Everything that comes from the data reaches the document as text or as the value of a
// harmless attribute, never as markup: whoever may tag a resource chooses what is written here. For the same reason
// names are keys of maps, never of plain objects, and only classes listed here are given to elements.

/* ---- Building the document ---- */

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const html = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);
const said = (text, tag = "span") => html(tag, { class: "said" }, text);
const mono = (text) => html("span", { class: "said mono" }, text);

const natural = new Intl.Collator("en", { numeric: true });
const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
const number = (count) => count.toLocaleString("en");

function grouped(values, keyOf) {
  const groups = new Map();
  for (const value of values) {
    const key = keyOf(value);
    if (groups.has(key)) groups.get(key).push(value);
    else groups.set(key, [value]);
  }
  return groups;
}

/* ---- Signs ---- */

// The worst comes first: in the table, in the bars, and where several states have to be shown as one.
const STATES = [
  { id: "refused", means: "cannot be made" },
  { id: "drifted", means: "its rules or sides are not whole" },
  { id: "waiting", means: "is being made" },
  { id: "connected", means: "stands" },
];
const severity = (state) => {
  const place = STATES.findIndex((known) => known.id === state);
  return place < 0 ? STATES.length : place;
};
const stateClass = (state) => `state-${severity(state) < STATES.length ? state : "other"}`;

// Each has a shape of its own, for whoever does not see the colours.
function stateSign(state) {
  switch (state) {
    case "connected":
      return [svg("circle", { class: "sign-fill", cx: 8, cy: 8, r: 7.4 }), svg("path", { class: "sign-cut", d: "M4.5 8.3 7 10.8 11.6 5.6" })];
    case "drifted":
      return [svg("path", { class: "sign-fill", d: "M8 .8 15.6 14.8H.4Z" }), svg("path", { class: "sign-cut", d: "M8 6v4M8 12.4v.1" })];
    case "waiting":
      return [svg("circle", { class: "sign-line", cx: 8, cy: 8, r: 6.6 }), svg("path", { class: "sign-line", d: "M8 4.4V8l2.7 1.7" })];
    case "refused":
      return [svg("rect", { class: "sign-fill", x: 0.8, y: 0.8, width: 14.4, height: 14.4, rx: 3 }), svg("path", { class: "sign-cut", d: "M5 5l6 6M11 5l-6 6" })];
    default:
      return [svg("path", { class: "sign-line", d: "M8 1.2 14.8 8 8 14.8 1.2 8Z" })];
  }
}

const stateIcon = (state) => svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", focusable: "false" }, ...stateSign(state));
/** Without the word, where the same is said again and again; it is still said aloud. */
const stateMark = (state) => html("span", { class: `state bare ${stateClass(state)}`, title: state }, stateIcon(state), html("span", { class: "unseen" }, state));
const stateBadge = (state) => html("span", { class: `state ${stateClass(state)}` }, stateIcon(state), state);

const ICONS = {
  instance: "M5.5 4h9A1.5 1.5 0 0 1 16 5.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 4 14.5v-9A1.5 1.5 0 0 1 5.5 4ZM8 8h4v4H8ZM7.5 1.5V4M12.5 1.5V4M7.5 16v2.5M12.5 16v2.5M1.5 7.5H4M1.5 12.5H4M16 7.5h2.5M16 12.5h2.5",
  address: "M4 4.5h12v8H4ZM1.5 15.5h17",
  store: "M3.5 5c0-1.7 2.9-3 6.5-3s6.5 1.3 6.5 3-2.9 3-6.5 3-6.5-1.3-6.5-3v10c0 1.7 2.9 3 6.5 3s6.5-1.3 6.5-3V5M3.5 10c0 1.7 2.9 3 6.5 3s6.5-1.3 6.5-3",
  pair: "M8.5 11.5l3-3M9.5 6l2-2a3.2 3.2 0 0 1 4.5 4.5l-2 2M10.5 14l-2 2A3.2 3.2 0 0 1 4 11.5l2-2",
  name: "M2 2h6l6.5 6.5-6 6L2 8ZM5 5v.01",
};

/* ---- Reading the data ---- */

// Characters that cannot be seen but turn the direction of what follows could make one name look like another.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const seen = (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
const asText = (value) => (typeof value === "string" && value !== "" ? value.replace(/[\t\n\r]+/g, " ").replace(UNSEEN, seen) : null);
const asList = (value) => (Array.isArray(value) ? value : []);
const asTexts = (value) => asList(value).map(asText).filter((entry) => entry !== null);
const asObject = (value) => (value !== null && typeof value === "object" && !Array.isArray(value) ? value : {});
const asObjects = (value) => asList(value).map(asObject);

const KNOWN_VERSION = 2;
const MADE_BY = { tagwire: "tagwire", console: "the console" };
const madeByText = (madeBy) => (madeBy === null ? "nobody yet" : Object.hasOwn(MADE_BY, madeBy) ? MADE_BY[madeBy] : madeBy);

function readSide(value) {
  const side = asObject(value);
  const id = asText(side.id);
  return id === null ? null : { id, name: asText(side.name) ?? id };
}

function readModel(data) {
  const instances = asObjects(data.instances).map((entry) => ({
    id: asText(entry.id) ?? "?",
    name: asText(entry.name),
    vpc: asText(entry.vpc),
    zone: asText(entry.zone),
    names: asTexts(entry.names),
  }));
  const instanceById = new Map(instances.map((instance) => [instance.id, instance]));
  const stores = asObjects(data.stores).map((entry) => ({
    arn: asText(entry.arn) ?? "?",
    name: asText(entry.name) ?? asText(entry.arn) ?? "?",
    service: asText(entry.service),
    vpc: asText(entry.vpc),
    zones: asTexts(entry.zones),
    state: asText(entry.state),
    ports: asText(entry.ports),
    names: asTexts(entry.names),
  }));
  const storeByArn = new Map(stores.map((store) => [store.arn, store]));
  const groups = new Map(
    asObjects(data.groups).map((entry) => [
      asText(entry.id),
      { id: asText(entry.id), name: asText(entry.name), owned: entry.owned === true, rules: asTexts(entry.rules) },
    ]),
  );

  const connections = asObjects(asObject(data.status).connections).map((entry, index) => {
    const instance = asText(entry.instance);
    const client = asText(entry.client) ?? instance ?? "?";
    const store = asText(entry.store) ?? "?";
    const connection = {
      index,
      vpc: asText(entry.vpc),
      client,
      isInstance: instance !== null,
      clientName: instanceById.get(client)?.name ?? null,
      clientZone: asText(entry.instance_zone),
      store,
      storeName: asText(entry.store_name) ?? storeByArn.get(store)?.name ?? store,
      service: asText(entry.service) ?? storeByArn.get(store)?.service ?? null,
      storeZones: asTexts(entry.store_zones),
      crossZone: entry.cross_az === true,
      ports: asText(entry.ports),
      names: asTexts(entry.names),
      storeSide: readSide(entry.store_side),
      instanceSide: readSide(entry.instance_side),
      madeBy: asText(entry.made_by),
      since: asText(entry.since),
      state: asText(entry.state) ?? "unknown",
      code: asText(entry.code),
      reason: asText(entry.reason),
      hint: asText(entry.hint),
    };
    // Without groups there is no pair to go through; what is in its place says why, and so differs by reason.
    connection.pair = JSON.stringify(
      connection.storeSide || connection.instanceSide
        ? [store, connection.storeSide?.id ?? null, connection.instanceSide?.id ?? null]
        : [store, null, null, connection.state, connection.code],
    );
    connection.found = [
      connection.vpc, client, connection.clientName, connection.clientZone, store, connection.storeName, connection.service,
      ...connection.storeZones, connection.ports, ...connection.names, connection.storeSide?.id, connection.storeSide?.name,
      connection.instanceSide?.id, connection.instanceSide?.name, connection.madeBy, connection.state, connection.code,
      connection.reason, connection.crossZone ? "cross-az" : null,
    ].filter(Boolean).join("\n").toLowerCase();
    return connection;
  });

  const plan = asObjects(asObject(data.plan).vpcs);
  const changes = plan.flatMap((vpc) =>
    asObjects(vpc.changes).map((change) => ({
      vpc: asText(vpc.vpc),
      effect: asText(change.effect) ?? "change",
      store: asText(change.store),
      action: asText(change.action) ?? "?",
    })),
  );
  const findings = plan.flatMap((vpc) =>
    asObjects(vpc.findings).map((finding) => {
      const subject = asObject(finding.subject);
      const kind = ["instance", "store", "group", "vpc", "client"].find((one) => Object.hasOwn(subject, one) && asText(subject[one]) !== null) ?? null;
      return {
        vpc: asText(vpc.vpc),
        kind,
        subject: kind === null ? null : asText(subject[kind]),
        code: asText(finding.code) ?? "?",
        message: asText(finding.message) ?? "",
        hint: asText(finding.hint),
      };
    }),
  );

  // The unusual first: a hundred notes of one kind must not hide the one of another.
  const byCode = grouped(findings, (finding) => finding.code);
  findings.sort((one, other) => byCode.get(one.code).length - byCode.get(other.code).length || natural.compare(one.code, other.code));

  for (const change of changes) change.found = lowered(change.vpc, change.effect, change.action, change.store);
  for (const finding of findings) {
    finding.name =
      (finding.kind === "instance" && instanceById.get(finding.subject)?.name) ||
      (finding.kind === "store" && storeByArn.get(finding.subject)?.name) ||
      (finding.kind === "group" && groups.get(finding.subject)?.name) ||
      null;
    finding.found = lowered(finding.vpc, finding.code, finding.subject, finding.name, finding.message);
  }
  const meanings = new Map(
    asObjects(data.codes)
      .filter((entry) => /^[a-z][a-z0-9-]*$/.test(entry.code))
      .map((entry) => [entry.code, { means: asText(entry.means) ?? "", remedy: asText(entry.remedy) }]),
  );
  const linked = new Set(connections.flatMap((connection) => [connection.client, connection.store]));
  const alone = [
    ...instances
      .filter((instance) => !linked.has(instance.id))
      .map((of) => ({ kind: "client", key: of.id, of, found: lowered(of.id, of.name, of.vpc, of.zone, ...of.names) })),
    ...stores
      .filter((store) => !linked.has(store.arn))
      .map((of) => ({ kind: "store", key: of.arn, of, found: lowered(of.arn, of.name, of.service, of.vpc, of.ports, of.state, ...of.zones, ...of.names) })),
  ];

  return {
    instances, instanceById, stores, storeByArn, groups, connections, changes, findings, alone, meanings,
    byClient: grouped(connections, (connection) => connection.client),
    byStore: grouped(connections, (connection) => connection.store),
    byPair: grouped(connections, (connection) => connection.pair),
    findingsAbout: grouped(findings, (finding) => finding.subject),
    account: asText(data.account),
    region: asText(data.region),
    tagwire: asText(data.tagwire),
    generatedAt: asText(data.generated_at),
    complete: data.complete !== false,
    gaps: asTexts(data.gaps),
    version: data.version,
  };
}

const lowered = (...parts) => parts.filter(Boolean).join("\n").toLowerCase();

/* ---- Times ---- */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// In UTC, as the logs are, whatever the reader's time zone.
function time(text, withMinutes = true) {
  const parts = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(text ?? "");
  if (!parts) return text === null ? null : said(text);
  const [, year, month, day, hour, minute] = parts;
  const date = `${Number(day)} ${MONTHS[Number(month) - 1] ?? month} ${year}`;
  return html("time", { datetime: text, title: text }, withMinutes ? `${date}, ${hour}:${minute} UTC` : date);
}

/* ---- What is shown ---- */

const TABLE_STEP = 30;
const LIST_STEP = 20;
// They stand above everything else, so only the first ones do.
const FINDINGS_STEP = 8;
// What is worth knowing and asks nobody to do anything.
const NOTICES = new Set(["cross-az"]);

const view = {
  model: null,
  words: [],
  state: "",
  vpc: "",
  service: "",
  madeBy: "",
  sort: { column: "state", descending: false },
  // Graph: what was unfolded by hand, and the VPCs that were closed.
  unfolded: new Set(),
  closed: new Set(),
  unfoldAll: false,
  // Details: what the pointer or the focus is on comes before what was chosen.
  pointed: null,
  focused: null,
  chosen: null,
  tableLimit: TABLE_STEP,
  changesLimit: LIST_STEP,
  findingsLimit: FINDINGS_STEP,
  noticesOpen: false,
};

const matchesWords = (thing) => view.words.every((word) => thing.found.includes(word));
const NOBODY = "\u0000nobody";

function matches(connection) {
  return (
    (view.state === "" || connection.state === view.state) &&
    (view.vpc === "" || connection.vpc === view.vpc) &&
    (view.service === "" || connection.service === view.service) &&
    (view.madeBy === "" || (connection.madeBy ?? NOBODY) === view.madeBy) &&
    matchesWords(connection)
  );
}

/** What has no connection has no state and no maker either. */
function matchesAlone(thing) {
  return (
    view.state === "" && view.madeBy === "" &&
    (view.vpc === "" || thing.of.vpc === view.vpc) &&
    (view.service === "" || (thing.kind === "store" && thing.of.service === view.service)) &&
    matchesWords(thing)
  );
}

const matchesListed = (thing) => (view.vpc === "" || thing.vpc === view.vpc) && matchesWords(thing);
const isNarrowed = () => view.words.length > 0 || [view.state, view.vpc, view.service, view.madeBy].some((one) => one !== "");

/* ---- Header, banners, counts ---- */

function showWhere(model) {
  const entry = (term, value) => (value === null ? null : html("div", {}, html("dt", {}, term), html("dd", {}, value)));
  byId("where").append(
    ...[
      entry("Account", model.account && said(model.account)),
      entry("Region", model.region && said(model.region)),
      entry("Seen at", time(model.generatedAt)),
    ].filter(Boolean),
  );
  if (model.account !== null) document.title = `tagwire report: ${model.account} ${model.region ?? ""}`.trim();
  byId("footer").append(
    `Made by tagwire${model.tagwire === null ? "" : ` ${model.tagwire}`}. What an application has open when a connection is taken away stays open until it is closed.`,
  );
}

function showBanners(model) {
  const banners = byId("banners");
  if (model.version !== KNOWN_VERSION) {
    banners.append(html("p", { class: "banner", role: "alert" }, "The data of this report is of a version that this page does not know. What follows may lack something."));
  }
  if (!model.complete || model.gaps.length > 0) {
    banners.append(
      html(
        "div",
        { class: "banner", id: "incomplete", role: "alert" },
        html("strong", {}, "This report is incomplete. "),
        model.gaps.length > 0
          ? `${plural(model.gaps.length, "thing")} could not be read, so what is missing below may still be there:`
          : "Something could not be read, so what is missing below may still be there.",
        model.gaps.length > 0 ? html("ul", {}, ...model.gaps.map((gap) => said(gap, "li"))) : null,
      ),
    );
  }
}

const stateOrder = (states) => [...states].sort((left, right) => severity(left) - severity(right) || natural.compare(left, right));

function showTiles(model) {
  const byState = grouped(model.connections, (connection) => connection.state);
  const tile = (name, title, count, aside, target) =>
    html(
      target ? "a" : "div",
      { class: "card tile", href: target },
      html("h2", {}, title),
      html("p", { class: "number", "data-count": name }, number(count)),
      aside ? html("p", { class: "aside" }, aside) : null,
    );
  // States that hold nothing are shown too: that nothing is refused is worth reading.
  const states = stateOrder(new Set([...STATES.map((state) => state.id), ...byState.keys()])).reverse();
  const bar = html("div", { class: "bar", "aria-hidden": "true" });
  for (const state of states) {
    const count = byState.get(state)?.length ?? 0;
    if (count === 0) continue;
    const part = html("span", { class: stateClass(state) });
    part.style.flexGrow = count;
    bar.append(part);
  }
  const buttons = states.map((state) => {
    const count = html("span", {}, number(byState.get(state)?.length ?? 0));
    if (severity(state) < STATES.length) count.dataset.count = `state-${state}`;
    const button = html("button", { type: "button", class: `state ${stateClass(state)}`, "aria-pressed": "false" }, stateIcon(state), count, ` ${state}`);
    button.addEventListener("click", () => {
      byId("filter-state").value = view.state === state ? "" : state;
      readFilters();
    });
    button.stateShown = state;
    return button;
  });
  const effects = grouped(model.changes, (change) => change.effect);
  const effectText = ["add", "remove", "write"]
    .filter((effect) => effects.has(effect))
    .map((effect) => `${number(effects.get(effect).length)} ${effect}`)
    .join(" · ");
  const codes = new Set(model.findings.map((finding) => finding.code)).size;
  const crossing = model.connections.filter((connection) => connection.crossZone).length;
  const vpcs = new Set([...model.instances, ...model.stores].map((thing) => thing.vpc).filter(Boolean)).size;
  const services = new Set(model.stores.map((store) => store.service).filter(Boolean)).size;
  byId("tiles").append(
    tile("instances", "Instances", model.instances.length, model.instances.length > 0 ? `in ${plural(vpcs, "VPC")}` : null),
    tile("stores", "Data stores", model.stores.length, services > 0 ? `of ${plural(services, "service")}` : null),
    html(
      "div",
      { class: "card tile wide" },
      html("h2", {}, "Connections"),
      html(
        "div",
        { class: "row" },
        html("p", { class: "number", "data-count": "connections" }, number(model.connections.length)),
        html("div", { class: "states", role: "group", "aria-label": "Connections by state" }, ...buttons),
      ),
      bar,
      html("p", { class: "aside" }, crossing > 0 ? `${plural(crossing, "connection crosses", "connections cross")} Availability Zones` : "\u00a0"),
    ),
    tile("changes", "Pending changes", model.changes.length, effectText || (model.changes.length === 0 ? "nothing to do" : null), "#changes"),
    tile("findings", "Findings", model.findings.length, codes > 0 ? `of ${plural(codes, "kind")}` : "nothing to report", "#findings"),
  );
}

function showEmpty(model) {
  const unread = !model.complete || model.gaps.length > 0;
  const step = (text, command) => html("li", {}, text, html("pre", {}, html("code", {}, command)));
  byId("tiles").after(
    html(
      "section",
      { class: "card empty", id: "empty" },
      html("h2", {}, unread ? "Nothing to show" : "Nothing is connected by tag here yet"),
      html(
        "p",
        {},
        unread
          ? "Nothing that is opted in was found, but not everything could be read. The note above says what is missing."
          : "No instance and no data store carries the connect tag, and no connection was found. Give both the same name to join them:",
      ),
      unread
        ? null
        : html(
            "ol",
            {},
            step("Tag a data store.", "aws rds add-tags-to-resource --resource-name ARN --tags Key=tagwire:connect,Value=orders"),
            step("Tag an instance in the same VPC.", "aws ec2 create-tags --resources INSTANCE --tags Key=tagwire:connect,Value=orders"),
            step("See what is planned, or make this report again.", "tagwire plan"),
          ),
      unread ? null : html("p", { class: "soft" }, "The key is tagwire:connect unless your installation names another one."),
    ),
  );
}

/* ---- Filters ---- */

function fillFilters(model) {
  const fill = (id, everything, values) => {
    byId(id).append(html("option", { value: "" }, everything), ...values.map(([value, text]) => html("option", { value }, text)));
  };
  const distinct = (values) => [...new Set(values.filter((value) => value !== null))].sort(natural.compare).map((value) => [value, value]);
  const states = stateOrder(new Set([...STATES.map((state) => state.id), ...model.connections.map((connection) => connection.state)]));
  fill("filter-state", "any", states.map((state) => [state, state]));
  fill("filter-vpc", "any", distinct([...model.connections, ...model.instances, ...model.stores, ...model.changes, ...model.findings].map((thing) => thing.vpc)));
  fill("filter-service", "any", distinct([...model.connections, ...model.stores].map((thing) => thing.service)));
  const makers = new Set(model.connections.map((connection) => connection.madeBy));
  fill("filter-made-by", "anyone", [
    ...[...makers].filter(Boolean).sort(natural.compare).map((maker) => [maker, madeByText(maker)]),
    ...(makers.has(null) ? [[NOBODY, madeByText(null)]] : []),
  ]);

  for (const id of ["filter-state", "filter-vpc", "filter-service", "filter-made-by"]) byId(id).addEventListener("change", readFilters);
  byId("search").addEventListener("input", readFilters);
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", resetFilters);
}

function resetFilters() {
  for (const id of ["search", "filter-state", "filter-vpc", "filter-service", "filter-made-by"]) byId(id).value = "";
  readFilters();
}

function readFilters() {
  view.words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  view.state = byId("filter-state").value;
  view.vpc = byId("filter-vpc").value;
  view.service = byId("filter-service").value;
  view.madeBy = byId("filter-made-by").value;
  view.tableLimit = TABLE_STEP;
  view.changesLimit = LIST_STEP;
  view.findingsLimit = FINDINGS_STEP;
  view.pointed = null;
  render();
}

function render() {
  const model = view.model;
  const connections = model.connections.filter(matches);
  const alone = model.alone.filter(matchesAlone);
  byId("shown").textContent = isNarrowed()
    ? `${number(connections.length)} of ${plural(model.connections.length, "connection")}`
    : plural(model.connections.length, "connection");
  for (const button of document.querySelectorAll(".tiles button")) button.setAttribute("aria-pressed", String(button.stateShown === view.state));
  showGraph(connections, alone);
  showTable(connections);
  showChanges(model.changes.filter(matchesListed));
  showFindings(model.findings.filter(matchesListed));
  showDetails();
}

const nothing = (words) =>
  html("div", { class: "nothing" }, words, ...(isNarrowed() ? [resetButton()] : []));

function resetButton() {
  const button = html("button", { type: "button" }, "Show everything");
  button.addEventListener("click", resetFilters);
  return button;
}

/* ---- Graph: what belongs together ---- */

// More alike clients than this are drawn as one until they are unfolded; data stores get more room, for there are
// fewer of them and people look for them by name.
const CLIENTS_UNFOLDED = 4;
const STORES_UNFOLDED = 8;

/** VPC by VPC, and in each by connection name. A connection is drawn once, under the first name that it shares. */
function clustersOf(connections, alone) {
  const vpcs = new Map();
  const clusterOf = (vpc, name) => {
    if (!vpcs.has(vpc)) vpcs.set(vpc, new Map());
    const clusters = vpcs.get(vpc);
    if (!clusters.has(name)) clusters.set(name, { id: JSON.stringify([vpc, name]), name, connections: [], alone: [] });
    return clusters.get(name);
  };
  for (const connection of connections) clusterOf(connection.vpc, connection.names[0] ?? null).connections.push(connection);
  for (const thing of alone) clusterOf(thing.of.vpc, thing.of.names[0] ?? null).alone.push(thing);
  // What has no name, or is in no VPC, comes last.
  const inOrder = (map) => [...map].sort(([left], [right]) => (left === null) - (right === null) || natural.compare(left, right));
  return inOrder(vpcs).map(([vpc, clusters]) => ({ vpc, clusters: inOrder(clusters).map(([, cluster]) => cluster) }));
}

function describeClient(id, connections) {
  const instance = view.model.instanceById.get(id);
  const isInstance = instance !== undefined || connections.some((connection) => connection.isInstance);
  return {
    id,
    isInstance,
    title: instance?.name ?? id,
    name: instance?.name ?? null,
    zone: instance?.zone ?? connections[0]?.clientZone ?? null,
    vpc: instance?.vpc ?? connections[0]?.vpc ?? null,
    names: instance?.names ?? [...new Set(connections.flatMap((connection) => connection.names))],
  };
}

function describeStore(arn, connections) {
  const store = view.model.storeByArn.get(arn);
  const first = connections[0];
  return {
    arn,
    title: store?.name ?? first?.storeName ?? arn,
    service: store?.service ?? first?.service ?? null,
    vpc: store?.vpc ?? first?.vpc ?? null,
    zones: store?.zones ?? first?.storeZones ?? [],
    ports: store?.ports ?? first?.ports ?? null,
    state: store?.state ?? null,
    names: store?.names ?? [...new Set(connections.flatMap((connection) => connection.names))],
  };
}

/**
 * The rows of the three columns and the edges between them. Clients that reach the same pairs in the same state are
 * alike, and so are data stores of one service that are reached by the same clients in the same state: being alike is
 * what lets many be drawn as one without hiding anything that is out of the ordinary.
 */
function arrange(cluster) {
  const isUnfolded = (id) => view.unfoldAll || view.unfolded.has(id);
  const aloneOf = (kind) => cluster.alone.filter((thing) => thing.kind === kind);
  const byClient = grouped(cluster.connections, (connection) => connection.client);
  const byPair = grouped(cluster.connections, (connection) => connection.pair);
  const byStore = grouped(cluster.connections, (connection) => connection.store);

  const clients = [
    ...[...byClient].map(([id, connections]) => {
      const profile = [...new Set(connections.map((connection) => `${connection.pair} ${connection.state} ${connection.code}`))].sort();
      const of = describeClient(id, connections);
      return { key: `client ${id}`, kind: "client", of, connections, profile: JSON.stringify([of.isInstance, profile]) };
    }),
    ...aloneOf("client").map((thing) => ({ key: `client ${thing.key}`, kind: "client", of: describeClient(thing.key, []), connections: [], profile: "alone" })),
  ].sort((left, right) => natural.compare(left.of.title, right.of.title) || natural.compare(left.of.id, right.of.id));
  const profileOfClient = new Map(clients.map((client) => [client.of.id, client.profile]));

  const left = [];
  const itemOfClient = new Map();
  for (const [profile, alike] of grouped(clients, (client) => client.profile)) {
    const folds = alike.length > CLIENTS_UNFOLDED;
    const id = `${cluster.id} clients ${profile}`;
    const fold = folds
      ? { key: `fold ${id}`, kind: "clients", fold: id, open: isUnfolded(id), members: alike, connections: alike.flatMap((client) => client.connections) }
      : null;
    if (fold) left.push(fold);
    if (fold && !fold.open) for (const client of alike) itemOfClient.set(client.of.id, fold);
    else {
      for (const client of alike) {
        left.push(client);
        itemOfClient.set(client.of.id, client);
        client.nested = folds;
      }
    }
  }

  const stores = [
    ...[...byStore].map(([arn, connections]) => {
      const of = describeStore(arn, connections);
      const pairs = [...new Set(connections.map((connection) => connection.pair))];
      const reached = pairs.map((pair) =>
        [...new Set(byPair.get(pair).map((connection) => `${profileOfPeer(connection)} ${connection.state} ${connection.code} ${connection.madeBy}`))].sort(),
      );
      return { key: `store ${arn}`, kind: "store", of, connections, pairs, profile: JSON.stringify([of.service, reached.sort()]) };
    }),
    ...aloneOf("store").map((thing) => ({ key: `store ${thing.key}`, kind: "store", of: describeStore(thing.key, []), connections: [], pairs: [], profile: "alone" })),
  ].sort((one, other) => natural.compare(one.of.title, other.of.title) || natural.compare(one.of.arn, other.of.arn));

  // A client's own profile names pairs, and so would tell all data stores apart; who it is does not.
  function profileOfPeer(connection) {
    const item = itemOfClient.get(connection.client);
    return item?.kind === "clients" ? profileOfClient.get(connection.client) : connection.client;
  }

  const right = [];
  const itemOfPair = new Map();
  for (const [profile, alike] of grouped(stores, (store) => store.profile)) {
    const folds = alike.length > STORES_UNFOLDED;
    const id = `${cluster.id} stores ${profile}`;
    const fold = folds
      ? { key: `fold ${id}`, kind: "stores", fold: id, open: isUnfolded(id), members: alike, connections: alike.flatMap((store) => store.connections), pairItems: [] }
      : null;
    if (fold) right.push(fold);
    if (fold && !fold.open) {
      const pairs = alike.flatMap((store) => store.pairs);
      if (pairs.length === 0) continue;
      const item = { key: `pairs ${id}`, kind: "pairs", pairs, connections: fold.connections, store: fold };
      fold.pairItems.push(item);
      for (const pair of pairs) itemOfPair.set(pair, item);
      continue;
    }
    for (const store of alike) {
      store.nested = folds;
      store.pairItems = store.pairs
        .map((pair) => ({ key: `pair ${pair}`, kind: "pair", pair, connections: byPair.get(pair), store }))
        .sort((one, other) => natural.compare(one.connections[0].storeSide?.name ?? "~", other.connections[0].storeSide?.name ?? "~"));
      for (const item of store.pairItems) itemOfPair.set(item.pair, item);
      right.push(store);
    }
  }

  const edges = [];
  const byEnds = new Map();
  for (const connection of cluster.connections) {
    const from = itemOfClient.get(connection.client);
    const to = itemOfPair.get(connection.pair);
    const key = `edge ${from.key} ${to.key}`;
    if (!byEnds.has(key)) {
      byEnds.set(key, { key, kind: "edge", from, to, connections: [] });
      edges.push(byEnds.get(key));
    }
    byEnds.get(key).connections.push(connection);
  }
  for (const edge of edges) {
    edge.state = stateOrder(new Set(edge.connections.map((connection) => connection.state)))[0];
    // The same connection has the same key wherever it is shown, so that it can be found again.
    if (edge.connections.length === 1) edge.key = `connection ${edge.connections[0].index}`;
  }
  return { left, right, edges, middle: right.flatMap((store) => store.pairItems ?? []) };
}

/* ---- Graph: where it stands ---- */

const ROW = 46;
const ROW_GAP = 10;
const NARROW = 620;

function columnsFor(width) {
  if (width < NARROW) {
    const pair = 34;
    const gap = 26;
    const side = Math.floor((width - pair - 2 * gap) / 2);
    return { narrow: true, width, client: { x: 0, width: side }, pair: { x: side + gap, width: pair }, store: { x: side + 2 * gap + pair, width: side } };
  }
  const side = Math.round(Math.min(290, width * 0.25));
  const pair = Math.round(Math.min(330, width * 0.33));
  const gaps = width - 2 * side - pair;
  const before = Math.round(gaps * 0.6);
  return { narrow: false, width, client: { x: 0, width: side }, pair: { x: side + before, width: pair }, store: { x: width - side, width: side } };
}

/** Gives every item its place and returns the height. The crossings are few when each stands at the level of its peers. */
function place(arranged, columns) {
  const rowsOf = (item) => Math.max(1, item.pairItems?.length ?? 1);
  const rightRows = arranged.right.reduce((sum, item) => sum + rowsOf(item), 0);
  const rows = Math.max(arranged.left.length, rightRows, 1);
  const height = rows * (ROW + ROW_GAP) - ROW_GAP;
  const top = (count) => Math.round((height - (count * (ROW + ROW_GAP) - ROW_GAP)) / 2);

  let y = top(rightRows);
  for (const item of arranged.right) {
    const pairs = item.pairItems ?? [];
    pairs.forEach((pair, index) => Object.assign(pair, columns.pair, { y: y + index * (ROW + ROW_GAP) }));
    const span = rowsOf(item) * (ROW + ROW_GAP) - ROW_GAP;
    Object.assign(item, columns.store, { y: y + (span - ROW) / 2 });
    y += span + ROW_GAP;
  }

  // Whole folds move, so that what was unfolded stays under its heading.
  const blocks = [];
  for (const item of arranged.left) {
    if (item.nested) blocks.at(-1).push(item);
    else blocks.push([item]);
  }
  const targets = grouped(arranged.edges, (edge) => edge.from);
  const level = (block) => {
    const edges = block.flatMap((item) => targets.get(item) ?? []);
    return edges.length === 0 ? Infinity : edges.reduce((sum, edge) => sum + edge.to.y, 0) / edges.length;
  };
  const levels = new Map(blocks.map((block) => [block, level(block)]));
  blocks.sort((one, other) => (levels.get(one) === levels.get(other) ? 0 : levels.get(one) - levels.get(other)));
  arranged.left = blocks.flat();
  y = top(arranged.left.length);
  for (const item of arranged.left) {
    const inset = item.nested ? 14 : 0;
    Object.assign(item, { x: columns.client.x + inset, width: columns.client.width - inset, y });
    y += ROW + ROW_GAP;
  }

  // Where several edges meet a node they are fanned out, so that each can be followed and pointed at.
  const fan = (edges, end, other) => {
    edges.sort((one, two) => one[other].y - two[other].y);
    const step = Math.min(9, (ROW - 14) / Math.max(1, edges.length - 1));
    edges.forEach((edge, index) => {
      edge[`${end}Y`] = edge[end].y + ROW / 2 + (index - (edges.length - 1) / 2) * step;
    });
  };
  for (const edges of targets.values()) fan([...edges], "from", "to");
  for (const edges of grouped(arranged.edges, (edge) => edge.to).values()) fan([...edges], "to", "from");
  arranged.edges.sort((one, other) => one.fromY - other.fromY || one.toY - other.toY);
  return height;
}

/* ---- Graph: drawing ---- */

const measure = (() => {
  const context = document.createElement("canvas").getContext("2d");
  const families = getComputedStyle(document.documentElement);
  const fonts = {
    label: `600 13px ${families.getPropertyValue("--sans")}`,
    sub: `11.5px ${families.getPropertyValue("--sans")}`,
    group: `11.5px ${families.getPropertyValue("--mono")}`,
  };
  return (text, style) => {
    context.font = fonts[style];
    return context.measureText(text).width;
  };
})();

/** Names are cut in the middle: what they have in common stands at their beginning, what tells them apart at their end. */
function fitted(text, style, room, tailPart = 0.4) {
  // No room holds more, and measuring is not free: a tag's value may be long.
  const letters = Array.from(text.length > 400 ? `${text.slice(0, 200)}…${text.slice(-200)}` : text);
  if (measure(letters.join(""), style) <= room) return letters.join("");
  let [fits, tooMany] = [0, letters.length];
  const cut = (kept) => {
    const tail = Math.floor(kept * tailPart);
    return `${letters.slice(0, kept - tail).join("")}…${tail > 0 ? letters.slice(-tail).join("") : ""}`;
  };
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (measure(cut(middle), style) <= room) fits = middle;
    else tooMany = middle;
  }
  return cut(fits);
}

const icon = (name, x, y) => svg("path", { class: "icon", d: ICONS[name], transform: `translate(${x} ${y})` });

function nodeText(x, y, text, style, room) {
  return svg("text", { x, y, class: style === "sub" ? null : style }, fitted(text, style, room, style === "sub" ? 0 : undefined));
}

const countStates = (connections) => {
  const byState = grouped(connections, (connection) => connection.state);
  return stateOrder(byState.keys()).map((state) => `${number(byState.get(state).length)} ${state}`).join(", ");
};

/** The words of a node: what is said aloud, and the two lines that are drawn. */
function wording(item) {
  switch (item.kind) {
    case "client": {
      const { of } = item;
      const kind = of.isInstance ? "Instance" : "Client that is no instance";
      const second = of.isInstance ? [of.name === null ? "no name" : of.id, zonesText([of.zone])] : ["not an instance"];
      const aloud = [kind, of.title, of.name === null ? null : of.id];
      return { lines: [of.title, second.filter(Boolean).join(" · ")], aloud: aloud.filter(Boolean).join(" ") };
    }
    case "clients": {
      const what = item.members[0].of.isInstance ? "instance" : "client";
      const titles = item.members.map((member) => member.of.title);
      return { lines: [plural(titles.length, what), counted(titles).slice(0, 12).join(", ")], aloud: `${plural(titles.length, what)} alike` };
    }
    case "store": {
      const { of } = item;
      const state = of.state !== null && of.state !== "available" ? of.state : null;
      // The ports stand on the pair, where there is one.
      const second = [of.service, item.pairs.length > 0 ? null : of.ports, state, zonesText(of.zones)];
      return { lines: [of.title, second.filter(Boolean).join(" · ")], aloud: `Data store ${of.title}${of.service ? `, ${of.service}` : ""}` };
    }
    case "stores": {
      const titles = item.members.map((member) => member.of.title);
      return { lines: [plural(titles.length, "data store"), counted(titles).slice(0, 12).join(", ")], aloud: `${plural(titles.length, "data store")} alike` };
    }
    case "pairs":
      return { lines: [plural(item.pairs.length, "pair"), "one for each data store"], aloud: `${plural(item.pairs.length, "pair")} of security groups` };
    default: {
      const [connection] = item.connections;
      const makers = [...new Set(item.connections.map((one) => one.madeBy))].filter(Boolean);
      const second = [connection.ports && `port ${connection.ports}`, makers.length > 0 && `by ${makers.map(madeByText).join(" and ")}`];
      const sides = [connection.instanceSide, connection.storeSide].filter(Boolean).map((side) => side.name);
      if (sides.length === 0) {
        const title = connection.state === "refused" ? "no connection" : "no groups yet";
        return { lines: [title, connection.code ?? connection.state], aloud: `${title}${connection.code ? `: ${connection.code}` : ""}` };
      }
      return { lines: [null, second.filter(Boolean).join(" · ")], sides, aloud: `Security groups ${sides.join(" and ")} of ${connection.storeName}` };
    }
  }
}

// The Region stands in the head of the page, so the letter of a zone is enough where there is little room.
const shortZone = (zone) => (view.model.region !== null && zone.startsWith(view.model.region) ? zone.slice(view.model.region.length) : zone);

function zonesText(zones) {
  const known = zones.filter((zone) => zone !== null);
  return known.length === 0 ? null : `${known.length === 1 ? "zone" : "zones"} ${known.map(shortZone).join(", ")}`;
}

/** Each name once, with how many have it. */
const counted = (names) => [...grouped(names, (name) => name)].map(([name, all]) => (all.length === 1 ? name : `${name} ×${number(all.length)}`));

function drawNode(item, columns) {
  const { lines, sides, aloud } = wording(item);
  const isPair = item.kind === "pair" || item.kind === "pairs";
  const isFold = item.kind === "clients" || item.kind === "stores";
  // A fold that is open leaves the marks to its members.
  const members = isPair || item.open ? [] : (item.members ?? [item]);
  const marked = members.some((member) => view.model.findingsAbout.has(member.of.id ?? member.of.arn));
  const classes = ["node", isPair ? "pair" : item.kind === "client" || item.kind === "clients" ? "client" : "store"];
  if (item.kind === "pair" && !sides) classes.push("none", stateClass(item.connections[0].state));
  if (item.kind === "pair" && sides && item.connections.every((connection) => connection.madeBy !== "tagwire")) classes.push("foreign");

  const node = svg("g", {
    class: classes.join(" "),
    tabindex: -1,
    role: "button",
    transform: `translate(${item.x} ${item.y})`,
    "aria-label": [aloud, item.connections.length > 0 ? countStates(item.connections) : "no connection", marked ? "has findings" : null].filter(Boolean).join(", "),
    "aria-expanded": isFold ? String(item.open) : null,
    "data-item": item.key,
  });
  if ((isFold && !item.open) || item.kind === "pairs") {
    node.append(svg("rect", { class: "behind", x: 5, y: 5, width: item.width - 5, height: ROW - 1, rx: 8 }));
  }
  const width = item.kind === "pairs" || (isFold && !item.open) ? item.width - 5 : item.width;
  node.append(svg("rect", { class: "box", x: 0, y: 0, width, height: ROW, rx: isPair ? Math.min(ROW, width) / 2 : item.kind === "client" && !item.of.isInstance ? 18 : 8 }));

  const middle = ROW / 2;
  if (isPair && columns.narrow) {
    node.append(icon("pair", width / 2 - 10, middle - 10));
    return node;
  }
  const shown = columns.narrow ? 10 : 38;
  if (!columns.narrow) {
    const name = isPair ? "pair" : item.kind === "store" || item.kind === "stores" ? "store" : (item.members?.[0] ?? item).of.isInstance ? "instance" : "address";
    node.append(icon(name, isPair ? 13 : 10, middle - 10));
  }
  const atEnd = (isFold ? 24 : 0) + (marked ? 24 : 0);
  const room = width - shown - (isPair ? 16 : 9) - atEnd;
  if (sides?.length === 2) {
    // The names of the two sides in the direction of the traffic.
    const half = (room - 22) / 2;
    const first = fitted(sides[0], "group", half);
    const after = shown + measure(first, "group") + 11;
    node.append(
      svg("text", { x: shown, y: middle - 4, class: "group" }, first),
      svg("path", { class: "icon", d: `M${after - 6} ${middle - 8}h11m-4 -3.5 4 3.5 -4 3.5` }),
      nodeText(after + 11, middle - 4, sides[1], "group", room - (after + 11 - shown)),
    );
  } else {
    node.append(nodeText(shown, middle - 4, sides ? sides[0] : lines[0], sides ? "group" : "label", room));
  }
  if (lines[1]) node.append(nodeText(shown, middle + 13, lines[1], "sub", room));
  if (isFold) {
    const x = width - 22;
    node.append(svg("path", { class: "icon", d: item.open ? `M${x} ${middle + 3}l5-5 5 5` : `M${x} ${middle - 2}l5 5 5-5` }));
  }
  if (marked) {
    const x = width - (isFold ? 36 : 16);
    node.append(svg("circle", { class: "mark", cx: x, cy: middle, r: 8 }), svg("path", { class: "mark-line", d: `M${x} ${middle - 4}v4.5M${x} ${middle + 4}v.1` }));
  }
  return node;
}

// The parts of an edge at which its sign may stand. Not the middle, where edges cross.
const SIGN_PLACES = [0.34, 0.24, 0.44, 0.16];
const SIGN_SIZE = 18;

/** `signs` are where those of the plot stand already: one must not cover another. */
function drawEdge(edge, signs) {
  const [startX, endX] = [edge.from.x + edge.from.width, edge.to.x];
  const bend = (endX - startX) * 0.5;
  const d = `M${startX} ${edge.fromY}C${startX + bend} ${edge.fromY} ${endX - bend} ${edge.toY} ${endX} ${edge.toY}`;
  const [connection] = edge.connections;
  const from = wording(edge.from).lines[0];
  const to = edge.connections.length === 1 ? connection.storeName : wording(edge.to.store).lines[0];
  const many = edge.connections.length > 1;
  const element = svg(
    "g",
    {
      class: `edge ${stateClass(edge.state)}${many ? " many" : ""}`,
      tabindex: -1,
      role: "button",
      "aria-label": `${many ? plural(edge.connections.length, "connection") : "Connection"} from ${from} to ${to}: ${countStates(edge.connections)}`,
      "data-item": edge.key,
    },
    svg("path", { class: "halo", d }),
    svg("path", { class: "line", d }),
    svg("path", { class: "hit", d }),
  );
  if (edge.state !== "connected") {
    const along = (part, a, b, c, e) => (1 - part) ** 3 * a + 3 * (1 - part) ** 2 * part * b + 3 * (1 - part) * part ** 2 * c + part ** 3 * e;
    const places = SIGN_PLACES.map((part) => ({
      x: along(part, startX, startX + bend, endX - bend, endX),
      y: along(part, edge.fromY, edge.fromY, edge.toY, edge.toY),
    }));
    const isFree = (at) => signs.every((other) => Math.hypot(at.x - other.x, at.y - other.y) >= SIGN_SIZE);
    const at = places.find(isFree) ?? places[0];
    signs.push(at);
    const { x, y } = at;
    element.append(svg("circle", { class: "seat", cx: x, cy: y, r: 9 }), svg("g", { class: "sign", transform: `translate(${x - 7} ${y - 7}) scale(.875)` }, ...stateSign(edge.state)));
  }
  return element;
}

/** From a pair to its data store: no connection of its own, so it is seen but not stopped at. */
function drawTail(pair) {
  const [startX, startY, endX, endY] = [pair.x + pair.width, pair.y + ROW / 2, pair.store.x, pair.store.y + ROW / 2];
  const bend = (endX - startX) * 0.5;
  const d = `M${startX} ${startY}C${startX + bend} ${startY} ${endX - bend} ${endY} ${endX} ${endY}`;
  const state = stateOrder(new Set(pair.connections.map((connection) => connection.state)));
  const shown = state.includes("connected") ? "connected" : state[0];
  return svg("g", { class: `edge many tail ${stateClass(shown)}`, "data-item": pair.key, "aria-hidden": "true" }, svg("path", { class: "line", d }), svg("path", { class: "hit", d }));
}

// The plots in the order in which they are shown. Items by the element that was drawn for them.
let plots = [];
const itemOfElement = new WeakMap();

function drawCluster(cluster, columns) {
  const arranged = arrange(cluster);
  const height = place(arranged, columns);
  const plot = { cluster, items: new Map(), order: [arranged.left, arranged.edges, arranged.middle, arranged.right], stop: null };
  const element = svg("svg", {
    class: "plot",
    width: columns.width,
    height: height + 8,
    // Room for the focus ring and the cards behind.
    viewBox: `-2 -2 ${columns.width + 4} ${height + 8}`,
    role: "group",
    "aria-label": cluster.name === null ? "Without a name in common" : `Connection name ${cluster.name}`,
  });
  const keep = (item, drawn) => {
    item.element = drawn;
    item.plot = plot;
    item.indexes = new Set(item.connections.map((connection) => connection.index));
    plot.items.set(item.key, item);
    itemOfElement.set(drawn, item);
    element.append(drawn);
  };
  for (const pair of arranged.middle) {
    const tail = drawTail(pair);
    pair.tail = tail;
    itemOfElement.set(tail, pair);
    element.append(tail);
  }
  const signs = [];
  for (const edge of arranged.edges) keep(edge, drawEdge(edge, signs));
  for (const item of [...arranged.left, ...arranged.middle, ...arranged.right]) keep(item, drawNode(item, columns));
  plot.element = element;
  stopAt(plot, plot.order.find((column) => column.length > 0)[0]);
  return plot;
}

/** Each plot is one stop of the Tab key; from there the arrow keys lead on. */
function stopAt(plot, item) {
  plot.stop?.element.setAttribute("tabindex", -1);
  plot.stop = item;
  item.element.setAttribute("tabindex", 0);
}

function stateCounts(connections) {
  const byState = grouped(connections, (connection) => connection.state);
  const counts = html("p", { class: "states" });
  for (const state of stateOrder(byState.keys()).reverse()) {
    const count = byState.get(state).length;
    counts.append(html("span", { class: `state ${stateClass(state)}`, title: `${number(count)} ${state}` }, stateIcon(state), number(count), html("span", { class: "unseen" }, ` ${state}`)));
  }
  return counts;
}

function amounts(clusters) {
  const connections = clusters.flatMap((cluster) => cluster.connections);
  const alone = (kind) => clusters.flatMap((cluster) => cluster.alone.filter((thing) => thing.kind === kind).map((thing) => thing.key));
  const instances = new Set([...connections.filter((connection) => connection.isInstance).map((connection) => connection.client), ...alone("client")]);
  const others = new Set(connections.filter((connection) => !connection.isInstance).map((connection) => connection.client));
  const stores = new Set([...connections.map((connection) => connection.store), ...alone("store")]);
  return [
    instances.size > 0 || others.size === 0 ? plural(instances.size, "instance") : null,
    others.size > 0 ? plural(others.size, "other client") : null,
    plural(stores.size, "data store"),
  ].filter(Boolean).join(" · ");
}

function graphWidth() {
  const padding = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--pad"));
  return Math.max(240, Math.floor(byId("graph").clientWidth - 2 * padding - 2));
}

let shownInGraph = { connections: [], alone: [] };

function showGraph(connections, alone) {
  shownInGraph = { connections, alone };
  const graph = byId("graph");
  const hadFocus = graph.contains(document.activeElement) ? itemOfElement.get(document.activeElement) : undefined;
  const columns = columnsFor(graphWidth());
  const blocks = clustersOf(connections, alone);
  plots = [];
  const drawn = blocks.map(({ vpc, clusters }) => {
    const block = html(
      "details",
      { class: "card vpc" },
      html(
        "summary",
        {},
        html("h3", {}, vpc === null ? "In no VPC" : said(vpc)),
        html("span", { class: "amounts" }, amounts(clusters)),
        stateCounts(clusters.flatMap((cluster) => cluster.connections)),
      ),
    );
    block.open = !view.closed.has(vpc);
    block.addEventListener("toggle", () => {
      if (block.open) view.closed.delete(vpc);
      else view.closed.add(vpc);
    });
    if (!columns.narrow) {
      const head = svg("svg", { class: "columns", width: columns.width, height: 22, viewBox: `-2 0 ${columns.width + 4} 22` });
      for (const [column, words] of [["client", "Instances and other clients"], ["pair", "Security groups"], ["store", "Data stores"]]) {
        head.append(svg("text", { x: columns[column].x, y: 12 }, words));
      }
      block.append(head);
    }
    for (const cluster of clusters) {
      const plot = drawCluster(cluster, columns);
      plots.push(plot);
      block.append(
        html(
          "section",
          { class: "cluster" },
          html(
            "header",
            {},
            html("h4", {}, svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: ICONS.name })), cluster.name === null ? "No name in common" : said(cluster.name)),
            html("p", {}, amounts([cluster])),
            clusters.length > 1 ? stateCounts(cluster.connections) : null,
          ),
          plot.element,
        ),
      );
    }
    return block;
  });
  graph.replaceChildren(...(drawn.length > 0 ? drawn : [html("div", { class: "card" }, nothing("Nothing here matches."))]));

  const folds = plots.some((plot) => [...plot.items.values()].some((item) => item.fold));
  byId("expand-all").hidden = !folds;
  byId("expand-all").textContent = view.unfoldAll ? "Collapse all" : "Expand all";
  if (hadFocus !== undefined) {
    const plot = plots.find((one) => one.cluster.id === hadFocus.plot.cluster.id);
    const item = plot?.items.get(hadFocus.key);
    if (item) focusItem(item);
  }
}

function redrawGraph() {
  showGraph(shownInGraph.connections, shownInGraph.alone);
  highlight();
}

function focusItem(item) {
  stopAt(item.plot, item);
  item.element.focus({ preventScroll: true });
  item.element.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function toggleFold(item) {
  // From all unfolded to one folded: the others stay as they were.
  if (view.unfoldAll) {
    view.unfoldAll = false;
    for (const plot of plots) for (const other of plot.items.values()) if (other.fold) view.unfolded.add(other.fold);
  }
  if (view.unfolded.has(item.fold)) view.unfolded.delete(item.fold);
  else view.unfolded.add(item.fold);
  view.pointed = null;
  redrawGraph();
  showDetails();
}

/** The next item in a direction: up and down within a column and on into the next plot, left and right along edges. */
function neighbour(item, key) {
  const column = item.plot.order.findIndex((one) => one.includes(item));
  const items = item.plot.order[column];
  const place = items.indexOf(item);
  const edges = item.plot.order[1];
  switch (key) {
    case "ArrowUp":
    case "ArrowDown": {
      const step = key === "ArrowDown" ? 1 : -1;
      if (items[place + step]) return items[place + step];
      for (let next = plots.indexOf(item.plot) + step; plots[next]; next += step) {
        const there = plots[next].order[column];
        if (there.length > 0 && plots[next].element.checkVisibility()) return step > 0 ? there[0] : there.at(-1);
      }
      return null;
    }
    case "ArrowRight":
      if (column === 0) return edges.find((edge) => edge.from === item) ?? null;
      if (column === 1) return item.to;
      return column === 2 ? item.store : null;
    case "ArrowLeft":
      if (column === 3) return item.pairItems?.[0] ?? null;
      if (column === 2) return edges.find((edge) => edge.to === item) ?? null;
      return column === 1 ? item.from : null;
    case "Home":
      return items[0];
    case "End":
      return items.at(-1);
    default:
      return null;
  }
}

function listenToGraph() {
  const graph = byId("graph");
  const itemAt = (event) => {
    const element = event.target.closest?.("[data-item]");
    return element ? itemOfElement.get(element) : undefined;
  };
  graph.addEventListener("pointerover", (event) => {
    const item = itemAt(event);
    view.pointed = item ? infoOf(item) : null;
    showDetails();
  });
  graph.addEventListener("pointerleave", () => {
    view.pointed = null;
    showDetails();
  });
  graph.addEventListener("focusin", (event) => {
    const item = itemAt(event);
    if (!item) return;
    stopAt(item.plot, item);
    // A pointer that happens to rest somewhere does not outdo the keyboard.
    view.pointed = null;
    view.focused = infoOf(item);
    showDetails();
  });
  graph.addEventListener("focusout", () => {
    view.focused = null;
    showDetails();
  });
  const act = (item) => {
    if (item.fold) toggleFold(item);
    else choose(infoOf(item));
  };
  graph.addEventListener("click", (event) => {
    const item = itemAt(event);
    if (item) act(item);
  });
  graph.addEventListener("keydown", (event) => {
    const item = itemAt(event);
    if (!item || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      act(item);
      return;
    }
    const next = neighbour(item, event.key);
    if (next) {
      event.preventDefault();
      focusItem(next);
    }
  });
  byId("expand-all").addEventListener("click", () => {
    view.unfoldAll = !view.unfoldAll;
    if (!view.unfoldAll) view.unfolded.clear();
    redrawGraph();
  });
  let width = graph.clientWidth;
  new ResizeObserver(() => {
    // Drawing changes the height; only another width is a reason to draw again.
    if (graph.clientWidth === width || graph.clientWidth === 0) return;
    width = graph.clientWidth;
    redrawGraph();
  }).observe(graph);
}

function showLegend() {
  byId("legend").append(
    ...[...STATES].reverse().map((state) =>
      html(
        "li",
        { class: stateClass(state.id), title: `${state.id}: ${state.means}` },
        svg(
          "svg",
          { viewBox: "0 0 44 14", "aria-hidden": "true" },
          svg("g", { class: `edge ${stateClass(state.id)}` }, svg("path", { class: "line", d: "M0 7h44" })),
          svg("circle", { class: "seat", cx: 22, cy: 7, r: 9 }),
          svg("g", { transform: "translate(15 0) scale(.875)" }, ...stateSign(state.id)),
        ),
        state.id,
      ),
    ),
  );
}

/* ---- Details ---- */

const infoOfConnection = (connection) => ({ key: `connection ${connection.index}`, kind: "edge", connections: [connection] });
const infoOfClient = (id) => ({ key: `client ${id}`, kind: "client", id, connections: view.model.byClient.get(id) ?? [] });
const infoOfStore = (arn) => ({ key: `store ${arn}`, kind: "store", id: arn, connections: view.model.byStore.get(arn) ?? [] });

function infoOf(item) {
  switch (item.kind) {
    case "client":
      return infoOfClient(item.of.id);
    case "store":
      return infoOfStore(item.of.arn);
    case "pair":
      return { key: item.key, kind: "pair", connections: view.model.byPair.get(item.pair) };
    case "edge":
      return { key: item.key, kind: "edge", connections: item.connections };
    default:
      return { key: item.key, kind: item.kind, connections: item.connections, members: (item.members ?? item.store.members).map((member) => member.of) };
  }
}

const shownInfo = () => view.pointed ?? view.focused ?? view.chosen;

function choose(info) {
  view.chosen = info;
  view.pointed = null;
  showDetails();
}

function highlight() {
  const info = shownInfo();
  const indexes = new Set(info?.connections.map((connection) => connection.index));
  for (const plot of plots) {
    let some = false;
    for (const item of plot.items.values()) {
      let active = item.key === info?.key;
      if (!active && indexes.size > 0) for (const index of item.indexes) if (indexes.has(index)) { active = true; break; }
      item.element.classList.toggle("active", active);
      item.tail?.classList.toggle("active", active);
      some ||= active;
    }
    plot.element.classList.toggle("narrowed", some);
  }
  for (const row of byId("table").tBodies[0].rows) row.classList.toggle("active", info?.kind === "edge" && indexes.has(row.connection?.index));
}

let shownKey = null;

function showDetails() {
  const info = shownInfo();
  highlight();
  // The same again: whoever reads or scrolls in it is not disturbed.
  const key = info === null ? "" : `${info.key} ${view.chosen?.key === info.key}`;
  if (key === shownKey) return;
  shownKey = key;
  const details = byId("details");
  details.classList.toggle("idle", info === null);
  details.scrollTop = 0;
  details.replaceChildren(...(info === null ? idleDetails() : detailsOf(info)).filter(Boolean));
}

function idleDetails() {
  const row = (keys, words) => [html("kbd", {}, keys), html("span", {}, words)];
  return [
    html("h2", {}, "Point at anything"),
    html("p", { class: "lead soft" }, "The rules of both security groups, and why a connection is as it is, are shown here. A click or Enter keeps them."),
    html("h3", {}, "States"),
    html("ul", { class: "some" }, ...[...STATES].reverse().map((state) => html("li", {}, html("div", { class: "row" }, stateBadge(state.id), html("span", { class: "soft" }, state.means))))),
    html("h3", {}, "Keys"),
    html(
      "div",
      { class: "keys" },
      ...row("/", "search"),
      ...row("Tab", "from one connection name to the next"),
      ...row("← →", "along a connection"),
      ...row("↑ ↓", "within a column"),
      ...row("Enter", "unfold, or keep the details"),
      ...row("Esc", "clear the search and the details"),
    ),
  ];
}

function factList(facts) {
  const list = html("dl", { class: "facts" });
  for (const [term, value] of facts) if (value !== null && value !== undefined && value !== "") list.append(html("dt", {}, term), html("dd", {}, value));
  return list;
}

function sideCard(role, side) {
  const group = side === null ? null : view.model.groups.get(side.id);
  const card = html("div", { class: "side" }, html("div", { class: "row" }, html("span", { class: "soft" }, role), side === null ? html("span", {}, "none") : said(side.name, "strong"), side === null || side.name === side.id ? null : mono(side.id)));
  if (side === null) return card;
  if (!group) {
    card.append(html("p", { class: "soft" }, "Its rules were not read."));
    return card;
  }
  card.append(html("p", {}, html("span", { class: `badge ${group.owned ? "own" : ""}` }, group.owned ? "owned by tagwire" : "not owned by tagwire")));
  card.append(
    group.rules.length === 0
      ? html("p", { class: "soft" }, "No rules.")
      : html("ul", { class: "rules" }, ...group.rules.map((rule) => html("li", {}, said(rule, "code"), peerName(rule)))),
  );
  return card;
}

/** The name of the group that a rule refers to, for ids say little. */
function peerName(rule) {
  const id = /\bsg-[0-9a-z-]+\b/.exec(rule)?.[0];
  const name = id === undefined ? null : (view.model.groups.get(id)?.name ?? null);
  return name === null || name === id ? null : html("span", { class: "soft" }, " (", said(name), ")");
}

function sidesOf(connection) {
  if (connection.storeSide === null && connection.instanceSide === null) return [];
  const entry = (role, side) => (side === null && !connection.isInstance ? null : sideCard(role, side));
  return [html("h3", {}, "Security groups"), entry("Instance side", connection.instanceSide), sideCard("Store side", connection.storeSide)];
}

function jump(text, kind, id) {
  const button = html("button", { type: "button", class: "jump" }, said(text));
  button.addEventListener("click", () => reveal(kind === "client" ? infoOfClient(id) : infoOfStore(id)));
  return button;
}

function someOf(entries, drawn) {
  const most = 40;
  const list = html("ul", { class: "some" }, ...entries.slice(0, most).map(drawn));
  if (entries.length > most) list.append(html("li", { class: "soft" }, `and ${number(entries.length - most)} more`));
  return list;
}

const hintOf = ({ hint }) => (hint === null ? null : html("small", { class: "said hint" }, ` Hint: ${hint}`));

function findingsAbout(id) {
  const findings = view.model.findingsAbout.get(id) ?? [];
  if (findings.length === 0) return [];
  return [html("h3", {}, "Findings"), someOf(findings, (finding) => html("li", {}, html("span", { class: "badge code warn" }, finding.code), " ", said(finding.message), hintOf(finding)))];
}

const bySeverity = (one, other) => severity(one.state) - severity(other.state) || one.index - other.index;

function peers(connections, title, textOf, kind, idOf) {
  if (connections.length === 0) return [html("p", { class: "lead soft" }, "It has no connection.")];
  return [
    html("h3", {}, title),
    someOf([...connections].sort(bySeverity), (connection) =>
      html("li", {}, html("div", { class: "row" }, jump(textOf(connection), kind, idOf(connection)), stateMark(connection.state)), connection.reason === null ? null : said(connection.reason, "small")),
    ),
  ];
}

const clientText = (connection) => (connection.clientName === null ? connection.client : `${connection.clientName} (${connection.client})`);

function detailsOf(info) {
  const { connections } = info;
  const [first] = connections;
  const parts = [];
  if (view.chosen?.key === info.key) {
    const close = html("button", { type: "button", class: "close", "aria-label": "Close the details" }, "×");
    close.addEventListener("click", clearDetails);
    parts.push(close);
  }
  const head = (kind, title) => parts.push(html("p", { class: "kind" }, kind), said(title, "h2"));

  switch (info.kind) {
    case "edge":
      if (connections.length > 1) {
        const stores = new Set(connections.map((connection) => connection.store));
        head(plural(connections.length, "connection"), stores.size === 1 ? `to ${first.storeName}` : `to ${plural(stores.size, "data store")}`);
        parts.push(stateCounts(connections));
        if (first.reason !== null && new Set(connections.map((connection) => connection.reason)).size === 1) parts.push(whyOf(first));
        if (new Set(connections.map((connection) => connection.pair)).size === 1) parts.push(...sidesOf(first));
        parts.push(...peers(connections, "From", clientText, "client", (connection) => connection.client));
        break;
      }
      head("Connection", `${first.clientName ?? first.client} → ${first.storeName}`);
      parts.push(html("p", { class: "lead" }, stateBadge(first.state)));
      if (first.reason !== null || first.code !== null) parts.push(whyOf(first));
      parts.push(
        factList([
          [first.isInstance ? "Instance" : "Client", html("span", {}, first.clientName === null ? null : `${first.clientName} `, mono(first.client))],
          ["Data store", html("span", {}, said(first.storeName), first.service === null ? null : ` · ${first.service}`)],
          ["Ports", first.ports],
          ["Names", first.names.length > 0 ? said(first.names.join(" ")) : "none in common"],
          ["Zones", zonesOf(first)],
          ["", first.crossZone ? html("span", { class: "badge warn" }, "crosses zones") : null],
          ["Made by", madeByText(first.madeBy)],
          ["Since", time(first.since)],
          ["VPC", first.vpc && mono(first.vpc)],
        ]),
        ...sidesOf(first),
      );
      break;
    case "pair":
      head(first.storeSide || first.instanceSide ? "Pair of security groups" : "No pair", [first.instanceSide?.name, first.storeSide?.name].filter(Boolean).join(" → ") || (first.code ?? first.state));
      parts.push(stateCounts(connections));
      if (first.storeSide === null && first.instanceSide === null && first.reason !== null) parts.push(whyOf(first));
      parts.push(factList([["Data store", jump(first.storeName, "store", first.store)], ["Ports", first.ports], ["Made by", madeByText(first.madeBy)]]));
      parts.push(...sidesOf(first), ...peers(connections, "Clients", clientText, "client", (connection) => connection.client));
      break;
    case "client": {
      const of = describeClient(info.id, connections);
      head(of.isInstance ? "Instance" : "Client that is no instance", of.title);
      if (connections.length > 0) parts.push(stateCounts(connections));
      parts.push(factList([["Id", of.name === null ? null : mono(of.id)], ["VPC", of.vpc && mono(of.vpc)], ["Zone", of.zone], ["Names", said(of.names.join(" "))]]));
      parts.push(...findingsAbout(info.id), ...peers(connections, "Data stores", (connection) => connection.storeName, "store", (connection) => connection.store));
      break;
    }
    case "store": {
      const of = describeStore(info.id, connections);
      head(of.service === null ? "Data store" : `Data store · ${of.service}`, of.title);
      if (connections.length > 0) parts.push(stateCounts(connections));
      parts.push(factList([["ARN", mono(of.arn)], ["State", of.state], ["Ports", of.ports], ["VPC", of.vpc && mono(of.vpc)], ["Zones", of.zones.join(", ")], ["Names", said(of.names.join(" "))]]));
      parts.push(...findingsAbout(info.id));
      for (const pair of new Set(connections.filter((connection) => connection.storeSide || connection.instanceSide).map((connection) => connection.pair))) {
        parts.push(...sidesOf(view.model.byPair.get(pair)[0]));
      }
      parts.push(...peers(connections, "Clients", clientText, "client", (connection) => connection.client));
      break;
    }
    default: {
      const isClients = info.kind === "clients";
      const one = isClients ? (info.members[0].isInstance ? "instance" : "client") : "data store";
      head("Drawn as one", `${plural(info.members.length, one)} with the same connections`);
      if (connections.length > 0) parts.push(stateCounts(connections));
      parts.push(html("p", { class: "lead soft" }, "A click or Enter unfolds them."));
      const pairs = [...new Set(connections.map((connection) => connection.pair))];
      if (isClients && pairs.length === 1) parts.push(...sidesOf(first));
      parts.push(html("h3", {}, isClients ? "Instances and clients" : "Data stores"));
      parts.push(someOf(info.members, (member) => html("li", {}, html("div", { class: "row" }, isClients ? jump(member.title, "client", member.id) : jump(member.title, "store", member.arn), isClients && member.name !== null ? html("span", { class: "soft" }, mono(member.id)) : null))));
    }
  }
  if (view.chosen?.key === info.key && ["edge", "client", "store"].includes(info.kind)) {
    const show = html("button", { type: "button", class: "plain" }, "Show in the graph");
    show.addEventListener("click", () => reveal(info));
    parts.push(show);
  }
  return parts;
}

function zonesOf(connection) {
  const from = connection.clientZone ?? (connection.isInstance ? "unknown" : null);
  return [from, connection.storeZones.join(", ") || "unknown"].filter(Boolean).join(" → ");
}

const whyOf = (connection) =>
  html("p", { class: `why ${stateClass(connection.state)}` }, connection.code === null ? null : codeOf(connection.code, "code"), connection.reason === null ? null : said(connection.reason), hintOf(connection));

function clearDetails() {
  view.chosen = null;
  view.pointed = null;
  view.focused = null;
  showDetails();
}

/** Brings something into sight in the graph, whatever hides it: a filter, a closed VPC, or a fold. */
function reveal(info) {
  choose(info);
  const find = () => {
    for (const plot of plots) if (plot.items.has(info.key)) return plot.items.get(info.key);
    return null;
  };
  const indexes = new Set(info.connections.map((connection) => connection.index));
  const foldsAround = () =>
    plots.flatMap((plot) => [...plot.items.values()]).filter((item) => item.fold && !item.open &&
      item.members.some((member) => member.key === info.key || (info.kind === "edge" && member.connections.some((connection) => indexes.has(connection.index)))));
  if (find() === null && foldsAround().length === 0) resetFilters();
  let item = find();
  // At most two: the clients of an edge and its data stores may both be folded.
  for (let round = 0; item === null && round < 2; round += 1) {
    for (const fold of foldsAround()) view.unfolded.add(fold.fold);
    redrawGraph();
    item = find();
  }
  if (item === null) return;
  const block = item.plot.element.closest("details");
  block.open = true;
  focusItem(item);
  item.element.scrollIntoView({ block: "center" });
}

/* ---- Table ---- */

const COLUMNS = [
  { id: "state", title: "State", value: (connection) => [severity(connection.state), connection.code ?? ""], cell: (connection) => [stateBadge(connection.state)] },
  {
    id: "client",
    title: "Client",
    value: (connection) => [connection.clientName ?? connection.client, connection.client],
    cell: (connection) => [
      said(connection.clientName ?? connection.client, "strong"),
      html("small", {}, [connection.clientName === null ? null : connection.client, connection.isInstance ? zonesText([connection.clientZone]) : "not an instance"].filter(Boolean).join(" · ")),
    ],
  },
  {
    id: "store",
    title: "Data store",
    value: (connection) => [connection.storeName],
    cell: (connection) => [
      said(connection.storeName, "strong"),
      html("small", {}, [connection.service, connection.ports, zonesText(connection.storeZones)].filter(Boolean).join(" · ")),
      connection.crossZone ? html("span", { class: "badge warn" }, "crosses zones") : null,
    ],
  },
  {
    id: "names",
    title: "Name and VPC",
    value: (connection) => [connection.names.join(" "), connection.vpc ?? ""],
    cell: (connection) => [said(connection.names.join(" ") || "–"), connection.vpc === null ? null : html("small", { class: "mono" }, connection.vpc)],
  },
  { id: "made-by", title: "Made by", value: (connection) => [connection.madeBy ?? "~"], cell: (connection) => [connection.madeBy === null ? "–" : said(madeByText(connection.madeBy))] },
  { id: "since", title: "Since", value: (connection) => [connection.since ?? ""], cell: (connection) => [connection.since === null ? "–" : time(connection.since, false)] },
  {
    id: "why",
    title: "Why",
    value: (connection) => [connection.code ?? "", connection.reason ?? ""],
    cell: (connection) => [connection.code === null ? null : codeOf(connection.code, "code"), connection.reason === null ? null : html("small", { class: "said reason" }, connection.reason)],
  },
];

function setUpTable() {
  byId("table").tHead.rows[0].append(
    ...COLUMNS.map((column) => {
      const button = html("button", { type: "button" }, column.title);
      button.addEventListener("click", () => {
        view.sort = { column: column.id, descending: view.sort.column === column.id && !view.sort.descending };
        showTable(view.model.connections.filter(matches));
        highlight();
      });
      return html("th", { scope: "col", "data-column": column.id }, button);
    }),
  );
  const body = byId("table").tBodies[0];
  const rowAt = (event) => event.target.closest?.("tr");
  const point = (name, row) => {
    view[name] = row?.connection ? infoOfConnection(row.connection) : null;
    showDetails();
  };
  body.addEventListener("pointerover", (event) => point("pointed", rowAt(event)));
  body.addEventListener("pointerleave", () => point("pointed", null));
  body.addEventListener("focusin", (event) => {
    view.pointed = null;
    point("focused", rowAt(event));
  });
  body.addEventListener("focusout", () => point("focused", null));
  body.addEventListener("click", (event) => {
    const row = rowAt(event);
    if (row?.connection) choose(infoOfConnection(row.connection));
  });
  body.addEventListener("keydown", (event) => {
    const row = rowAt(event);
    if (!row?.connection) return;
    const rows = [...body.rows];
    const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling, Home: rows[0], End: rows.at(-1) }[event.key];
    if (event.key === "Enter" || event.key === " ") choose(infoOfConnection(row.connection));
    else if (next) {
      row.tabIndex = -1;
      next.tabIndex = 0;
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    } else return;
    event.preventDefault();
  });
  // Paper cannot be asked for more.
  window.addEventListener("beforeprint", () => {
    const before = { ...view };
    Object.assign(view, { tableLimit: Infinity, changesLimit: Infinity, findingsLimit: Infinity });
    render();
    window.addEventListener("afterprint", () => {
      Object.assign(view, { tableLimit: before.tableLimit, changesLimit: before.changesLimit, findingsLimit: before.findingsLimit });
      render();
    }, { once: true });
  });
}

function compareValues(one, other) {
  for (let place = 0; place < one.length; place += 1) {
    const order = typeof one[place] === "number" ? one[place] - other[place] : natural.compare(one[place], other[place]);
    if (order !== 0) return order;
  }
  return 0;
}

function amountIn(titleId, title, count, all) {
  byId(titleId).replaceChildren(title, html("span", { class: "amount" }, count === all ? ` ${number(all)}` : ` ${number(count)} of ${number(all)}`));
}

function showTable(connections) {
  const table = byId("table");
  amountIn("connections-title", "Connections", connections.length, view.model.connections.length);
  for (const head of table.tHead.rows[0].cells) {
    if (head.dataset.column === view.sort.column) head.setAttribute("aria-sort", view.sort.descending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  const { value } = COLUMNS.find((column) => column.id === view.sort.column);
  const direction = view.sort.descending ? -1 : 1;
  const sorted = connections
    .map((connection) => ({ connection, value: value(connection) }))
    .sort((one, other) => direction * compareValues(one.value, other.value) || one.connection.index - other.connection.index)
    .map((entry) => entry.connection);
  const rows = sorted.slice(0, view.tableLimit).map((connection, place) => {
    const row = html("tr", { tabindex: place === 0 ? 0 : -1 }, ...COLUMNS.map((column) => html("td", { class: column.id === "why" ? "why" : null }, ...column.cell(connection))));
    row.connection = connection;
    return row;
  });
  table.tBodies[0].replaceChildren(...(rows.length > 0 ? rows : [html("tr", {}, html("td", { colspan: COLUMNS.length }, nothing(view.model.connections.length > 0 ? "No connection matches." : "There is no connection.")))]));
  showMore(byId("table-more"), rows.length, sorted.length, () => {
    view.tableLimit = Infinity;
    showTable(sorted);
    highlight();
  });
}

function showMore(place, shown, all, showAll) {
  place.hidden = shown >= all;
  if (place.hidden) return place.replaceChildren();
  const button = html("button", { type: "button" }, `Show all ${number(all)}`);
  button.addEventListener("click", showAll);
  return place.replaceChildren(`${number(shown)} of ${number(all)} are shown.`, button);
}

/* ---- Pending changes and findings ---- */

const EFFECTS = { add: "+", remove: "−", write: "✎" };

function showLists(target, titleId, title, entries, all, limit, drawn, none, showAll) {
  amountIn(titleId, title, entries.length, all);
  const shown = entries.slice(0, limit);
  const lists = [...grouped(shown, (entry) => entry.vpc)].map(([vpc, ofVpc]) =>
    html("div", { class: "card list" }, html("h3", {}, vpc === null ? "In no VPC" : said(vpc)), html("ul", {}, ...ofVpc.map(drawn))),
  );
  const more = html("p", { class: "more" });
  showMore(more, shown.length, entries.length, showAll);
  byId(target).replaceChildren(...(lists.length > 0 ? [...lists, more] : [html("div", { class: "card" }, entries.length === all ? html("p", { class: "nothing" }, none) : nothing("None matches."))]));
}

function showChanges(changes) {
  showLists(
    "changes-list", "changes-title", "Pending changes", changes, view.model.changes.length, view.changesLimit,
    (change) => {
      const known = Object.hasOwn(EFFECTS, change.effect);
      return html(
        "li",
        { class: "change" },
        html("span", { class: `effect effect-${known ? change.effect : "other"}` }, html("i", { "aria-hidden": "true" }, known ? EFFECTS[change.effect] : "·"), change.effect),
        said(change.action),
      );
    },
    view.model.complete && view.model.gaps.length === 0 ? "Nothing to change." : "No change is planned on what could be read.",
    () => {
      view.changesLimit = Infinity;
      showChanges(changes);
    },
  );
}

function subjectOf(finding) {
  const text = finding.name ?? finding.subject ?? "–";
  const inGraph =
    (finding.kind === "instance" && (view.model.instanceById.has(finding.subject) || view.model.byClient.has(finding.subject))) ||
    (finding.kind === "store" && (view.model.storeByArn.has(finding.subject) || view.model.byStore.has(finding.subject)));
  return html("span", { class: "said" }, inGraph ? jump(text, finding.kind === "instance" ? "client" : "store", finding.subject) : text);
}

/** A code, which leads to what it means if that is on the page. */
function codeOf(code, tag = "span", classes = "said") {
  const means = view.model.meanings.has(code) ? html("a", { class: "meaning", href: `#code-${code}`, title: "What this code means" }, code) : code;
  return html(tag, { class: classes }, means);
}

const drawnFinding = (finding) =>
  html("li", { class: "finding" }, html("span", {}, codeOf(finding.code, "span", "badge code warn")), subjectOf(finding), html("span", {}, said(finding.message), hintOf(finding)));

function showFindings(findings) {
  const isNotice = (finding) => NOTICES.has(finding.code);
  const all = view.model.findings;
  showLists(
    "findings-list", "findings-title", "Findings", findings.filter((finding) => !isNotice(finding)), all.filter((finding) => !isNotice(finding)).length,
    view.findingsLimit, drawnFinding,
    view.model.complete && view.model.gaps.length === 0 ? (all.length > 0 ? "Nothing but notices." : "Nothing to report.") : "Nothing to report on what could be read.",
    () => {
      view.findingsLimit = Infinity;
      showFindings(findings);
    },
  );
  amountIn("findings-title", "Findings", findings.length, all.length);
  showNotices(findings.filter(isNotice));
}

/** Folded: a hundred of them would hide everything else. */
function showNotices(notices) {
  const place = byId("notices");
  place.hidden = notices.length === 0;
  if (place.hidden) return place.replaceChildren();
  const kinds = [...grouped(notices, (notice) => notice.code)].map(([code, all]) => `${code} ×${number(all.length)}`);
  const lists = [...grouped(notices, (notice) => notice.vpc)].map(([vpc, ofVpc]) =>
    html("div", { class: "list" }, html("h3", {}, vpc === null ? "In no VPC" : said(vpc)), html("ul", {}, ...ofVpc.map(drawnFinding))),
  );
  const fold = html("details", { class: "card fold", open: view.noticesOpen }, html("summary", {}, `${plural(notices.length, "notice")}: ${kinds.join(", ")}`), ...lists);
  fold.addEventListener("toggle", () => {
    view.noticesOpen = fold.open;
  });
  return place.replaceChildren(fold);
}

/** What the codes on this page mean. */
function showMeanings(model) {
  const here = new Set([...model.findings, ...model.connections].map((thing) => thing.code));
  const known = [...model.meanings].filter(([code]) => here.has(code)).sort(([one], [other]) => natural.compare(one, other));
  byId("codes").hidden = known.length === 0;
  byId("codes-list").append(
    ...known.map(([code, { means, remedy }]) =>
      html("div", { id: `code-${code}` }, html("dt", {}, html("code", {}, code)), html("dd", {}, said(means), remedy === null ? null : html("span", { class: "hint" }, "What to do: ", said(remedy)))),
    ),
  );
}

/* ---- Start ---- */

function listenToKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      byId("search").focus();
      byId("search").select();
    } else if (event.key === "Escape") {
      if (byId("search").value !== "") {
        byId("search").value = "";
        readFilters();
      }
      clearDetails();
    }
  });
}

function start() {
  let data;
  try {
    data = asObject(JSON.parse(byId("data").textContent));
  } catch {
    byId("banners").append(html("p", { class: "banner", role: "alert" }, "The data of this report cannot be read. Make the report again."));
    return;
  }
  const model = readModel(data);
  view.model = model;
  showWhere(model);
  showBanners(model);
  showTiles(model);
  const isEmpty = [model.instances, model.stores, model.connections, model.changes, model.findings].every((list) => list.length === 0);
  if (isEmpty) {
    showEmpty(model);
    return;
  }
  byId("body").hidden = false;
  showLegend();
  fillFilters(model);
  showMeanings(model);
  setUpTable();
  listenToGraph();
  listenToKeys();
  render();
}

start();
