#!/bin/bash
# Install what development and tests need: Debian's packages and two virtual environments. Quick when nothing changed.
#   .venv          the newest libraries and all tools
#   .venv-debian   the libraries of Debian 12, on which the package will run
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=/usr/bin/python3 # whatever else comes first in PATH
packages=(
  python3 python3-venv python3-dev python3-systemd python3-prometheus-client python3-pyinotify python3-netaddr
  python3-plumbum rsync openssh-server openssh-client iproute2 nftables iputils-arping curl procps util-linux
  libsystemd-dev pkg-config gcc
)

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
  local missing=() package policy=/usr/sbin/policy-rc.d
  for package in "${packages[@]}"; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "bootstrap: installing ${missing[*]}"
  [ "$(id -u)" = 0 ] || { echo "bootstrap: needs root to install these" >&2; return 1; }
  if [ ! -e "$policy" ]; then # this host asked for no sshd: nothing may be started
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
    trap "rm -f '$policy'" EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -qq -y --no-install-recommends "${missing[@]}" < /dev/null
}

# environment FOLDER OPTION_OF_VENV... -- ARGUMENTS_OF_PIP...
environment() {
  local folder=$1 options=() stamp
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  # A moved tree needs new ones too: the scripts in it name their interpreter.
  stamp=$( (pwd; "$python" --version; cat pyproject.toml script/bootstrap requirements/*) | sha256sum)
  [ "$(cat "$folder/.stamp" 2>/dev/null || true)" = "$stamp" ] && return 0
  echo "bootstrap: making $folder"
  rm -rf "$folder"
  "$python" -m venv "${options[@]}" "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@"
  echo "$stamp" > "$folder/.stamp"
}

install_packages
environment .venv-debian --system-site-packages -- -r requirements/test.txt
if [ ! -x .venv-debian/bin/skd-cluster ]; then
  # Apart from the above: without --no-deps pip would put newer libraries before Debian's.
  .venv-debian/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps -e .
fi
