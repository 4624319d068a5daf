# Shared by the scripts in this folder: what a bare Debian 12, Debian 13 or Ubuntu 24.04 lacks.
# Sourced, not run. Everything happens in the checkout (.venv) except apt packages.

cd "$(dirname "$0")/.." || exit 1

say() { printf '%s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "This needs root to install packages: run it as root or install sudo."
        exit 1
    fi
}

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' ||
            printf '%s ' "$package"
    done
}

# Suricata is not in Debian 12 proper. Its backports suite is derived from the machine's own
# sources, so that a mirror or a proxy configured there is used for it too. It is pinned low: only
# what is asked for comes from it.
add_backports() {
    [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ] || return 0
    if grep -rqs 'bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d; then
        return 0
    fi
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        awk -v RS= '/bookworm-updates|Suites: *bookworm *\n|Suites: *bookworm$/ && !/security/ {
            gsub(/Suites:[^\n]*/, "Suites: bookworm-backports"); print; exit }' \
            /etc/apt/sources.list.d/debian.sources |
            as_root tee /etc/apt/sources.list.d/osect-backports.sources >/dev/null
    else
        sed -n 's/^\(deb .*\) bookworm main.*/\1 bookworm-backports main/p' /etc/apt/sources.list |
            head -n 1 | as_root tee /etc/apt/sources.list.d/osect-backports.list >/dev/null
    fi
    printf 'Package: *\nPin: release n=bookworm-backports\nPin-Priority: 100\n' |
        as_root tee /etc/apt/preferences.d/osect-backports >/dev/null
}

# The pages that people look at are tested in a browser; Ubuntu has it only as a snap.
browser() {
    [ "$(. /etc/os-release && echo "$ID")" = debian ] && echo chromium
}

install_packages() {
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    say "Installing: $wanted"
    add_backports
    as_root apt-get update -qq
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        $wanted >/dev/null ||
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
            --no-install-recommends -t bookworm-backports $wanted >/dev/null
}

# A virtual environment of the distribution's own Python with the project in it.
make_venv() {
    extras=$1
    stamp=.venv/installed-$extras
    if [ ! -x .venv/bin/python ]; then
        /usr/bin/python3 -m venv .venv
    fi
    if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
        say "Installing Python packages into .venv"
        .venv/bin/python -m pip install -q --disable-pip-version-check -e ".[$extras]"
        touch "$stamp"
    fi
}
