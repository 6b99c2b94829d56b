# Shared by scripts/deps, scripts/deps-fetch, scripts/deps-update-lock, scripts/debs and scripts/image: where things are kept,
# what the lock file says, and a private apt that leaves the system's own lists alone. Sourced, not run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOCK=$ROOT/deps/lock
CACHE=${PENSTOCK_CACHE:-$HOME/.cache/penstock}
JOBS=${JOBS:-2}
export LC_ALL=C

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
say() { printf '%s\n' "$*" >&2; }

# ---- the lock file: NAME SOURCE-PACKAGE SUITE VERSION FILE=SHA256... ----

lock_names() { awk '!/^#/ && NF {print $1}' "$LOCK"; }
lock_line() { awk -v n="$1" '$1 == n {print; found = 1} END {exit !found}' "$LOCK" || die "deps/lock has no line for $1"; }

# The upstream version in a form fit for a directory name (no epoch, no Debian revision).
lock_version() { lock_line "$1" | awk '{v = $4; sub(/^[0-9]+:/, "", v); sub(/-[^-]*$/, "", v); gsub(/[^A-Za-z0-9.-]/, "_", v); print v}'; }

hash_of() { sha256sum | cut -c1-12; }

# ---- private apt: its own lists and cache, the system's own mirror and keys ----

# The URI that this system fetches Debian from, as apt itself reports it (never written down in the repository).
debian_uri() {
    local uri
    uri=$(apt-get indextargets --format '$(LABEL)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk -F'|' '$1 == "Debian" && $2 == "main" {print $3; exit}')
    [ -n "$uri" ] || die "apt knows no Debian archive on this system: run 'apt-get update' once, or set PENSTOCK_MIRROR"
    printf '%s\n' "$uri"
}

# private_apt NAME TYPE ARCH SUITE...: prepares $CACHE/apt/NAME and updates its signed indexes.
# Afterwards apt commands use it with -c "$CACHE/apt/NAME/apt.conf" (read after the system's own settings, so it wins).
private_apt() {
    local dir=$CACHE/apt/$1 type=$2 arch=$3 uri key opts suite
    shift 3
    uri=$(debian_uri) || exit 1
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    opts="arch=$arch"
    [ -e "$key" ] && opts="$opts signed-by=$key"
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    for suite; do printf '%s [%s] %s %s main\n' "$type" "$opts" "$uri" "$suite"; done >"$dir/sources.list"
    # The hooks are cleared because Debian's container images delete the *system's* downloaded packages in one.
    cat >"$dir/apt.conf" <<X
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$dir/lists";
Dir::State::status "/dev/null";
Dir::Cache "$dir/cache";
APT::Architecture "$arch";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::Retries "3";
#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
X
    apt-get -c "$dir/apt.conf" update -qq >&2 || die "cannot read the package indexes of: $*"
}

# index_files SUITE PACKAGE [VERSION]: lines "VERSION DIRECTORY FILE SHA256" from the signed source index.
index_files() {
    local list
    list=$(ls "$CACHE"/apt/src/lists/*_dists_"$1"_main_source_Sources 2>/dev/null | head -n 1)
    [ -n "$list" ] || return 1
    awk -v want="$2" -v version="${3:-}" '
        /^Package:/   {pkg = $2; n = 0}
        /^Version:/   {ver = $2}
        /^Directory:/ {dir = $2}
        /^[A-Z]/      {sums = ($1 == "Checksums-Sha256:")}
        /^ / && sums && pkg == want {file[n] = $3; sum[n++] = $1}
        /^$/ {if (pkg == want && (version == "" || version == ver))
                  for (i = 0; i < n; i++) print ver, dir, file[i], sum[i]
              pkg = ""; n = 0}' "$list"
}
