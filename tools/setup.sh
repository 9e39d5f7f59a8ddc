# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by demo.sh and test.sh: facsim_setup LIST... installs the Debian packages that those lists of
# this folder name and that are missing. Nothing is asked; does nothing, quickly, when all are there.

facsim_setup() {
  local folder wanted missing package as_root=()
  folder=$(dirname "${BASH_SOURCE[0]}")
  mapfile -t wanted < <(cd "$folder" && sed 's/#.*//; /^[[:space:]]*$/d' "$@")
  if ! command -v dpkg-query > /dev/null; then
    echo "setup: not a Debian system; make sure what $* in $folder name is installed" >&2
    return 0
  fi
  missing=()
  for package in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2> /dev/null)" = installed ] ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  if [ "$(id -u)" != 0 ]; then
    if ! sudo -n true 2> /dev/null; then
      echo "setup: missing packages, and no right to install them. Run as root:" >&2
      echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo -n)
  fi
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq --no-install-recommends "${missing[@]}")
  echo "setup: installing ${missing[*]}" >&2
  # Package lists may be absent or old: fetch them only when the first attempt fails.
  if ! "${install[@]}" > /dev/null 2>&1; then
    "${as_root[@]}" apt-get update -qq >&2
    "${install[@]}" > /dev/null
  fi
}
