#!/usr/bin/env bash
# Makes dist/mdatp-forward.zip, the package to deploy: host.json, the function's folder and the binary.
#
# Which glibc the platform has is not published, so the binary needs none newer than 2.17. Zig links it; what
# that takes is installed under target/. Debian names of what must be there: python3-venv, binutils, zip.
set -euo pipefail
cd "$(dirname "$0")/.."

glibc=2.17
target=x86_64-unknown-linux-gnu
build=$PWD/target/package
app=$build/app
package=$PWD/dist/mdatp-forward.zip

for tool in cargo python3 readelf zip; do
  command -v "$tool" >/dev/null || { echo "$tool is needed and not installed" >&2; exit 1; }
done

[[ -x $build/python/bin/pip ]] || python3 -m venv "$build/python"
"$build/python/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
  --requirement deploy/package.requirements.txt

# The same sources give the same bytes wherever they lie: no path of this machine goes into the binary.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}= --remap-path-prefix=$PWD="
# What a cargo that runs this script has set would have ring compiled anew.
unset CARGO_MANIFEST_DIR "${!CARGO_PKG_@}"
PATH=$build/python/bin:$PATH cargo zigbuild --release --locked --package mdatp-forward \
  --target "$target.$glibc" --target-dir "$build"

rm -rf "$app"
install -D -m 644 -t "$app" host.json
install -D -m 644 -t "$app/MdatpForward" MdatpForward/function.json
install -D -m 755 -t "$app" "$build/$target/release/mdatp-forward"

newest=$(readelf --version-info --wide "$app/mdatp-forward" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
if [[ $(printf '%s\n' "$newest" "GLIBC_$glibc" | sort -V | tail -n 1) != "GLIBC_$glibc" ]]; then
  echo "the binary needs $newest" >&2
  exit 1
fi

# One time for all entries, no directories, no owners.
find "$app" -exec touch --date=@315532800 {} +
mkdir -p dist
rm -f "$package"
(cd "$app" && TZ=UTC zip -q -9 -X -D "$package" host.json MdatpForward/function.json mdatp-forward)
echo "$package: $(stat -c %s "$package") bytes, the binary $(stat -c %s "$app/mdatp-forward"), needs $newest"
