#!/usr/bin/env bash
# Makes dist/mdatp-forward.zip, the package to deploy: host.json, the functions' folders and the binary; and dist/app, the
# folder of the same files, for `func azure functionapp publish`.
#
#   deploy/package.sh [--now] [--tenants]
#
# --now adds the function MdatpNow, by which a POST starts a run at once: see docs/deploy.md#within-seconds.
# --tenants makes the package for many tenants: a timer that enqueues a message for each of them, and the function MdatpTenant,
# which runs for one: see docs/tenants.md.
# The folders of these functions are not in the root of the repository, where the host would run them in every clone.
#
# Runs on Linux x86-64 with Rust and the Debian packages python3-venv, binutils and zip. On other systems it prints how to run
# it in a container. The platform's version of glibc is not published, so the binary needs glibc 2.17 only. Zig links it, and
# is installed under target/.
set -euo pipefail

host=host.json
functions=(MdatpForward)
case $* in
  "" | --now | --tenants | "--now --tenants" | "--tenants --now") ;;
  *)
    echo "usage: $0 [--now] [--tenants]" >&2
    exit 64
    ;;
esac
if [[ $* == *--tenants* ]]; then
  host=deploy/tenants/host.json
  functions=(deploy/tenants/MdatpForward deploy/tenants/MdatpTenant)
fi
if [[ $* == *--now* ]]; then
  functions+=(deploy/MdatpNow)
fi
cd "$(dirname "$0")/.."

system=$(uname -sm)
if [[ $system != "Linux x86_64" ]]; then
  cat >&2 <<EOF
$0 runs on Linux x86-64 only, and this is $system. Fix: put mdatp-forward.zip of the release into the folder dist, or
build it in a container:
  docker run --rm --platform linux/amd64 -v "\$PWD:/src" -w /src rust:1-bookworm bash -c \\
    "apt-get update -q && apt-get install -qy python3-venv binutils zip && deploy/package.sh${*:+ $*}"
EOF
  exit 1
fi

glibc=2.17
target=x86_64-unknown-linux-gnu
build=$PWD/target/package
app=$PWD/dist/app
package=$PWD/dist/mdatp-forward.zip

missing=()
for tool in cargo python3 readelf zip; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
  echo "these programs are not installed: ${missing[*]}. Fix: install them (Rust: https://rustup.rs; Debian: python3-venv binutils zip)" >&2
  exit 1
fi

[[ -x $build/python/bin/pip ]] || python3 -m venv "$build/python"
"$build/python/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
  --requirement deploy/package.requirements.txt

# The build is reproducible in any folder: no path of this machine is part of the binary.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}= --remap-path-prefix=$PWD="
# Variables of a cargo that runs this script would make ring compile again.
unset CARGO_MANIFEST_DIR "${!CARGO_PKG_@}"
PATH=$build/python/bin:$PATH cargo zigbuild --release --locked --package mdatp-forward \
  --target "$target.$glibc" --target-dir "$build"

rm -rf "$app"
install -D -m 644 -t "$app" "$host"
entries=(host.json)
for function in "${functions[@]}"; do
  install -D -m 644 -t "$app/${function##*/}" "$function/function.json"
  entries+=("${function##*/}/function.json")
done
install -D -m 755 -t "$app" "$build/$target/release/mdatp-forward"
entries+=(mdatp-forward)

newest=$(readelf --version-info --wide "$app/mdatp-forward" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
if [[ $(printf '%s\n' "$newest" "GLIBC_$glibc" | sort -V | tail -n 1) != "GLIBC_$glibc" ]]; then
  echo "the binary needs $newest, newer than GLIBC_$glibc" >&2
  exit 1
fi

# The same time for all entries, no folders, no owners: the package is reproducible too.
find "$app" -exec touch --date=@315532800 {} +
mkdir -p dist
rm -f "$package"
(cd "$app" && TZ=UTC zip -q -9 -X -D "$package" "${entries[@]}")
echo "$package: $(stat -c %s "$package") bytes, the binary $(stat -c %s "$app/mdatp-forward"), needs $newest"
