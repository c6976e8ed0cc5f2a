#!/bin/sh
# Installs a package on an overlay of this machine, in a mount, process and network namespace of its own
# (made by the caller): install.sh PACKAGE EMPTY_FOLDER. Ends with 77 when no overlay can be made.
set -eu
package=$1
folder=$2/overlay
mkdir "$folder"
mount --make-rprivate / || exit 77
mount -t tmpfs tmpfs "$folder" || exit 77
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$folder/root" || exit 77
mount -t proc proc "$folder/root/proc" || exit 77
mount --bind /dev "$folder/root/dev"
mount -t tmpfs tmpfs "$folder/root/run"
ip link set lo up 2>/dev/null || true
cp "$package" "$folder/root/yunling.deb"
cat > "$folder/root/steps.sh" <<'STEPS'
set -eu
step() { echo "== $*"; }
fail() { echo "FAILED: $*"; exit 1; }
as() { runuser -u yunling -- env YUNLING_HOME=/var/lib/yunling/home YUNLING_LANG=en yunling "$@"; }
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
getent passwd yunling && fail "the user is there before"
step install
dpkg -i /yunling.deb
getent passwd yunling | grep -q ':/var/lib/yunling:/usr/sbin/nologin$' || fail "no user with its folder and no shell"
[ "$(stat -c '%U %G %a' /var/lib/yunling)" = "yunling yunling 700" ] || fail "$(stat -c '%U %G %a' /var/lib/yunling)"
[ -z "$(ls -A /var/lib/yunling)" ] || fail "something was made before init"
[ ! -e /etc/systemd/system/multi-user.target.wants/yunling.service ] || fail "it would start by itself"
pgrep -x yunling && fail "it was started"
step init
as init --name kunming --division 530100 --trial
[ "$(stat -c '%a' /var/lib/yunling/home)" = 700 ] || fail "the home can be read by others"
sed -i '/"\/ip6\//d; s/0\.0\.0\.0/127.0.0.1/' /var/lib/yunling/home/config.toml
run() {
    as run 2> /tmp/run.log &
    for _ in $(seq 100); do as status --json >/tmp/status.json 2>/dev/null && break; sleep 0.2; done
    grep -q kunming /tmp/status.json || { cat /tmp/run.log; fail "no answer to status"; }
}
stop() {
    pkill -TERM -x yunling
    for _ in $(seq 100); do pgrep -x yunling >/dev/null || return 0; sleep 0.1; done
    fail "it did not stop within 10 s"
}
step "run and status"
run
cat /tmp/status.json
step upgrade
dpkg -i /yunling.deb
stop
[ -e /var/lib/yunling/home/config.toml ] || fail "an upgrade took the home"
run
stop
step remove
dpkg -r yunling
[ ! -e /usr/bin/yunling ] || fail "the program stays"
[ -e /var/lib/yunling/home/keys/statement.key ] || fail "removal took the keys"
step purge
dpkg -P yunling
[ -d /var/lib/yunling/home/data ] && [ -e /var/lib/yunling/home/keys/statement.key ] || fail "purge took the records"
getent passwd yunling >/dev/null || fail "purge took the user, its files belong to nobody"
step "install again"
dpkg -i /yunling.deb
run
stop
echo "all steps passed"
STEPS
exec chroot "$folder/root" sh /steps.sh
