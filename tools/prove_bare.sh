#!/usr/bin/env bash
# Proves the README's two commands on a Debian 12 that holds nothing else: debootstraps one, clones HEAD into it,
# runs `make serve`, asks the question that it prints, and starts it a second time. Prints the seconds of each.
# Root only; needs debootstrap. Everything happens in mount and process namespaces of its own, so that no mount
# and no process outlives it.
#   tools/prove_bare.sh [PORT]
set -euo pipefail
cd "$(dirname "$0")/.."

SUITE=bookworm
MIRROR=${MIRROR:-http://deb.debian.org/debian}
SECURITY_MIRROR=${SECURITY_MIRROR:-http://deb.debian.org/debian-security}
BASE=${BARE_BASE:-/tmp/lmdeploy-bare-$SUITE.tar}  # the bootstrapped system, kept for the next proof
MAX_MINUTES=${MAX_MINUTES:-15}
PORT=${1:-23399}

say() { echo "prove_bare: $*"; }
fail() { say "$*" >&2; exit 1; }

if [ "${PROVE_BARE_INSIDE:-}" != yes ]; then
  [ "$(id -u)" = 0 ] || fail "run this as root (chroot, mount)"
  command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"
  exec env PROVE_BARE_INSIDE=yes unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
fi

root=$(mktemp -d /tmp/lmdeploy-bare.XXXXXX)
clean_up() {
  umount "$root/proc" 2>/dev/null || true
  if findmnt -rno TARGET | grep -q "^$root"; then
    say "left $root: something is still mounted below it"
  else
    rm -rf --one-file-system "$root"
  fi
}
trap clean_up EXIT

bootstrap() {
  if [ ! -e "$BASE" ]; then
    say "debootstrap $SUITE (kept as $BASE)"
    debootstrap --variant=minbase "$SUITE" "$root/base" "$MIRROR" >"$root/debootstrap.log" ||
      { tail -n 20 "$root/debootstrap.log"; fail "debootstrap failed"; }
    tar cf "$BASE.part" -C "$root/base" . && mv "$BASE.part" "$BASE"
    rm -rf --one-file-system "$root/base"
  fi
  tar xf "$BASE" -C "$root"
  mount -t proc proc "$root/proc"
}

# What belongs to the network here and not to the system: mirrors, names, certificates, registry settings.
copy_settings() {
  printf 'deb %s %s main\n' "$MIRROR" "$SUITE" "$MIRROR" "$SUITE-updates" \
    "$SECURITY_MIRROR" "$SUITE-security" >"$root/etc/apt/sources.list"
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  mkdir -p "$root/usr/local/share/ca-certificates" "$root/root/.cargo" "$root/root/.config"
  cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/machine-ca.crt"
  local file
  for file in /etc/pip.conf "$HOME/.config/pip" "$HOME/.cargo/config.toml" "$HOME/.npmrc"; do
    [ ! -e "$file" ] || cp -r "$file" "$root/root/${file#"$HOME/"}" 2>/dev/null || cp -r "$file" "$root$file"
  done
}

# bare COMMAND...: in the new system, with a bare environment and this machine's registry settings.
bare() {
  local settings=()
  while IFS='=' read -r name value; do
    case $name in
      PIP_FIND_LINKS | PIP_CERT) ;;
      PIP_* | CARGO_HTTP_* | CARGO_REGISTR* | *_proxy | *_PROXY) settings+=("$name=$value") ;;
    esac
  done < <(env)
  local ca=/etc/machine-ca.crt
  chroot "$root" env -i HOME=/root LANG=C.UTF-8 TERM=dumb \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PIP_CERT=$ca CARGO_HTTP_CAINFO=$ca CURL_CA_BUNDLE=$ca SSL_CERT_FILE=$ca GIT_SSL_CAINFO=$ca \
    "${settings[@]}" "$@"
}

# start LOG: `make serve` in the background, until it answers or the time is over; prints the seconds.
start() {
  local log=$1 started=$SECONDS
  : >"$log"
  setsid bash -c "$(declare -f bare); root=$root; bare make -C /root/lmdeploy serve PORT=$PORT" >"$log" 2>&1 </dev/null &
  server=$!
  until grep -q '^curl ' "$log"; do
    kill -0 "$server" 2>/dev/null || { tail -n 40 "$log"; fail "make serve ended after $((SECONDS - started)) s"; }
    [ $((SECONDS - started)) -lt $((MAX_MINUTES * 60)) ] ||
      { tail -n 40 "$log"; fail "make serve has not answered within $MAX_MINUTES minutes"; }
    sleep 0.1
  done
}

stop() {
  kill -TERM -- "-$server"
  wait "$server" || true
}

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

bootstrap
copy_settings
git clone -q --no-hardlinks . "$root/root/lmdeploy"
say "cloned $(git rev-parse --short HEAD) into $root on $(nproc) cores"

began=$EPOCHREALTIME
if ! bare bash -c "apt-get update -q && apt-get install -y -q make" >"$root/apt.log" 2>&1; then
  tail "$root/apt.log"
  fail "apt does not work in the bare system"
fi
say "apt-get install make: $(seconds_since "$began") s"

began=$EPOCHREALTIME
start "$root/first.log"
say "first make serve answers after $(seconds_since "$began") s (allowed: $((MAX_MINUTES * 60)) s)"
grep -E '^(\[[1-4]/4\]|setup:|model:)' "$root/first.log"

line=$(grep '^curl ' "$root/first.log")
say "$line"
answer=$(bare bash -c "$line")
echo "$answer"
grep -q Paris <<<"$answer" || fail "the answer does not name Paris"
stop

began=$EPOCHREALTIME
start "$root/second.log"
seconds=$(seconds_since "$began")
say "second make serve answers after $seconds s (allowed: 5 s)"
stop
awk -v s="$seconds" 'BEGIN { exit !(s <= 5) }' || { cat "$root/second.log"; fail "the second start is too slow"; }
say "proved"
