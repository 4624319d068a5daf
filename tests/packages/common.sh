# shellcheck shell=bash disable=SC2034,SC2016
# Shared by the scripts of this folder. Sourced, not run.
#
# Everything happens in directories of clean roots below $WORK, in private mount namespaces, so that
# nothing is left mounted or running. Environment:
#   OSECT_PACKAGES_OUT    where packages are put (build/packages in the checkout)
#   OSECT_PACKAGES_CACHE  keep the clean roots there between runs (default: make them anew)
#   OSECT_DEBIAN_MIRROR, OSECT_UBUNTU_MIRROR  (default: those of the machine's own sources)

set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
CHECKOUT=$(cd "$HERE/../.." && pwd)
OUT=${OSECT_PACKAGES_OUT:-$CHECKOUT/build/packages}
REFERENCE=pcaps/built/factory_minute.pcap
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
fail() { say "$*"; exit 1; }

# Exit code of what cannot run here, with one line that says why (as automake's tests have it).
cannot() { say "cannot run: $*"; exit 77; }

# step WORDS COMMAND...: run it quietly, tell how long it took, show what it said if it failed.
step() {
    what=$1
    shift
    began=$(date +%s)
    # Not as a condition: there, set -e would count for nothing in the functions called.
    set +e
    (
        set -e
        "$@"
    ) >"$WORK/step.log" 2>&1
    code=$?
    set -e
    if [ "$code" != 0 ]; then
        tail -n 200 "$WORK/step.log" >&2
        fail "$what: failed with code $code"
    fi
    say "$what: $(($(date +%s) - began)) s"
}

# need_packages COMMAND=PACKAGE...: install what is missing, where that is possible.
need_packages() {
    [ "$(id -u)" = 0 ] || cannot "clean roots need root"
    missing=
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing="$missing ${pair#*=}"
    done
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || cannot "$missing must be installed"
    say "installing$missing"
    # shellcheck disable=SC2086
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends $missing; } \
        >/dev/null 2>&1 || cannot "apt-get cannot install$missing"
}

make_work() {
    WORK=$(mktemp -d /var/tmp/osect-packages.XXXXXX)
    trap 'rm -rf --one-file-system "$WORK"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    unshare --mount true 2>/dev/null || cannot "mount namespaces are not allowed here"
}

# mirror SUITE: the archive that a suite comes from.
mirror() {
    case $1 in
        bookworm | trixie) distribution=debian found=${OSECT_DEBIAN_MIRROR-} ;;
        noble) distribution=ubuntu found=${OSECT_UBUNTU_MIRROR-} ;;
        *) fail "unknown suite $1; known: trixie bookworm noble" ;;
    esac
    [ -n "$found" ] ||
        found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
            sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' |
            grep "/$distribution/*\$" | head -n 1) || true
    [ -n "$found" ] ||
        cannot "no archive of $distribution is among this machine's sources; set OSECT_${distribution^^}_MIRROR"
    echo "$found"
}

# need_suite SUITE: where its archive cannot be reached, or not be trusted, say so and end.
need_suite() {
    local from
    from=$(mirror "$1")
    if [ "$1" = noble ] && [ ! -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ]; then
        # Debian has it too.
        apt-get install -qq -y --no-install-recommends ubuntu-keyring >/dev/null 2>&1 ||
            cannot "$1 needs the package ubuntu-keyring"
    fi
    /usr/lib/apt/apt-helper -o Acquire::Retries=1 -o Acquire::http::Timeout=20 \
        download-file "$from/dists/$1/InRelease" "$WORK/InRelease" >/dev/null 2>&1 ||
        cannot "the archive of $1 cannot be reached at $from"
}

# suffix SUITE: what a version gets, so that each suite's package is older than the next one's.
suffix() {
    case $1 in
        bookworm) echo '~deb12u1' ;;
        trixie) echo '~deb13u1' ;;
        noble) echo '~ubuntu24.04.1' ;;
    esac
}

# base_root DIRECTORY SUITE: a clean root with what every Debian system has, and nothing else.
base_root() {
    local options=(--components=main)
    if [ "$2" = noble ]; then
        options=(--components=main,universe)
    fi
    mmdebstrap --quiet --mode=root --variant=minbase --skip=cleanup/apt/lists \
        --dpkgopt=force-unsafe-io --dpkgopt=path-exclude='/usr/share/man/*' \
        --dpkgopt=path-exclude='/usr/share/locale/*' --include=apt,ca-certificates \
        "${options[@]}" "$2" "$1" "$(mirror "$2")"
    # No service starts in a root that only a chroot enters.
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
}

# make_root NAME DIRECTORY FUNCTION ARGUMENTS...: the function fills the directory, unless the cache has it.
make_root() {
    local stored=${OSECT_PACKAGES_CACHE:+$OSECT_PACKAGES_CACHE/$1.tar} directory=$2
    shift 2
    mkdir -p "$directory"
    if [ -n "$stored" ] && [ -e "$stored" ]; then
        tar -xf "$stored" -C "$directory" --exclude='./dev/*'
        return
    fi
    "$1" "$directory" "${@:2}"
    if [ -n "$stored" ]; then
        mkdir -p "$OSECT_PACKAGES_CACHE"
        tar -cf "$stored.$$" -C "$directory" --one-file-system .
        mv "$stored.$$" "$stored"
    fi
}

# in_root ROOT COMMAND...: in a chroot with /proc, /sys and /dev. Of its mounts and processes none is left.
in_root() {
    unshare --mount --propagation private --pid --fork --kill-child sh -euc '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /sys "$root/sys"
        mount --rbind /dev "$root/dev"
        cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 \
            TZ=UTC DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"' in_root "$@"
}

# sources DIRECTORY: the files of the checkout as they are now, as far as git does not ignore them.
sources() {
    mkdir -p "$1"
    git -C "$CHECKOUT" ls-files -z --cached --others --exclude-standard --deduplicate |
        while IFS= read -r -d '' file; do
            [ ! -e "$CHECKOUT/$file" ] || printf '%s\0' "$file"
        done |
        tar -C "$CHECKOUT" --null --no-recursion -T - -cf - | tar -C "$1" -xf -
}

# check_logs ROOT CAPTURE: replay it with the installed sensor, judge with the installed harness.
check_logs() {
    rm -rf "$1/tmp/logs"
    cp "$2" "$1/tmp/reference.pcap"
    in_root "$1" sh -euc '
        osect-sensor --version
        cd /tmp
        osect-sensor replay reference.pcap -o logs
        osect-harness check logs'
}

# boot_and_run ROOT OPTIONS...: boot systemd there, without a network, and run /root/services as a unit.
# The options are systemd-nspawn's; ON_BOOT is a command to run that with.
boot_and_run() {
    cat >"$1/root/test" <<'END'
#!/bin/sh
cd /root
./services >/root/log 2>&1
echo $? >/root/code
END
    chmod 755 "$1/root/test"
    cat >"$1/etc/systemd/system/packages-test.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/root/test
ExecStopPost=/usr/bin/systemctl poweroff --no-block
TimeoutStartSec=400
[Install]
WantedBy=graphical.target
END
    mkdir -p "$1/etc/systemd/system/graphical.target.wants"
    ln -s ../packages-test.service "$1/etc/systemd/system/graphical.target.wants/"
    # /run of its own: nspawn leaves its sockets there.
    unshare --mount --propagation private --pid --fork --kill-child sh -c '
        root=$1
        shift
        mount -t tmpfs tmpfs /run
        mount -t proc proc /proc
        exec ${ON_BOOT-} timeout -k 10 500 systemd-nspawn --quiet --directory "$root" --private-network \
            --register=no --keep-unit --console=pipe "$@" --boot' boot "$@" </dev/null
    # It leaves the control groups that it made, with nothing in them.
    find /sys/fs/cgroup/*/payload /sys/fs/cgroup/*/supervisor -depth -type d -exec rmdir {} + \
        2>/dev/null || true
    cat "$1/root/log"
    test "$(cat "$1/root/code")" = 0
}
