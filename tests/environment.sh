# For the `run` scripts of the folders beside this file, which source it.

# Prints the folder of a Python environment of that name below target/ that holds exactly what a lock file names, and
# makes it first if need be. Another lock file or another Python means another environment, so a stale one is never used.
environment() {
    local name=$1 lock=$2 python=${PYTHON:-python3} stamp folder
    stamp=$({ cat "$lock"; "$python" --version; } | sha256sum | cut -c1-16)
    folder=$top/target/$name-venv-$stamp
    mkdir -p "$top/target"
    (
        set -e # which a command substitution does not inherit
        flock 9
        if [ ! -f "$folder/ready" ]; then
            rm -rf "$folder"
            "$python" -m venv "$folder"
            # The lock names everything there is, and older releases of pip trip over extras when they resolve hashed pins.
            "$folder/bin/pip" install --quiet --no-deps --require-hashes -r "$lock"
            "$folder/bin/pip" check
            touch "$folder/ready"
        fi
    ) 9>"$top/target/$name-venv.lock" >&2
    [ -f "$folder/ready" ] && printf '%s\n' "$folder"
}
