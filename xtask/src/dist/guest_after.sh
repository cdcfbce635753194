# After the README's commands, which end with the package's removal: what they must have shown.
sed -n 2p /tmp/live.txt | grep '^192\.168\.0\.102'
sed -n 2p /tmp/stored.txt | grep '^192\.168\.0\.102'
test "$(tshark -r /tmp/swarm.pcap | wc -l)" -gt 400
test "$(tshark -r /tmp/swarm.pcap -Y 'ip.src != 192.168.0.102' | wc -l)" = 0
# Removal keeps the configuration and the packets.
refuse test -e /usr/bin/flowsift
refuse systemctl is-active flowsift
test -f /etc/flowsift/flowsift.toml
test -d /var/lib/flowsift
test "$(stat -c %U:%a /var/lib/flowsift)" = flowsift:750
find /var/lib/flowsift -name '*.pcap' | grep .
# Installed again, the configuration is still the administrator's, and the service is not on.
apt-get install -y ./target/dist/flowsift_*.deb
grep -q fs0 /etc/flowsift/flowsift.toml
refuse systemctl is-enabled flowsift
# An upgrade (here to the same version, by the same scripts) restarts what runs and keeps the rest.
systemctl enable --now flowsift
before=$(systemctl show -p MainPID --value flowsift)
apt-get install -y --reinstall ./target/dist/flowsift_*.deb
systemctl is-active flowsift
systemctl is-enabled flowsift
test "$before" != "$(systemctl show -p MainPID --value flowsift)"
grep -q fs0 /etc/flowsift/flowsift.toml
find /var/lib/flowsift -name '*.pcap' | grep .
flowsift status
# Where the parent is killed, the worker is told to end, and writes what the rings hold first.
kill -KILL "$(systemctl show -p MainPID --value flowsift)"
timeout 30 sh -c 'until journalctl -u flowsift | grep "all that it had captured is written"; do sleep 0.2; done'
timeout 30 sh -c 'until systemctl is-active flowsift; do sleep 0.2; done'
# Purging asks nothing and leaves nothing but the user.
apt-get purge -y flowsift
refuse test -e /etc/flowsift
refuse test -e /var/lib/flowsift
id flowsift
dpkg --audit
# The tarball: the commands of docs/install.md.
tar -C / --strip-components=1 --no-overwrite-dir -xzf target/dist/flowsift-*.tar.gz
systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload
printf '[capture]\ninterfaces = ["fs0"]\n' >/etc/flowsift/flowsift.toml
systemctl start flowsift
flowsift status
systemctl stop flowsift
tar -tzf target/dist/flowsift-*.tar.gz | sed 's,^[^/]*,,' | grep -v '/$' | xargs rm
refuse test -e /usr/bin/flowsift
systemctl daemon-reload
test -z "$(systemctl --failed --plain --no-legend)"
echo "PACKAGE TEST PASSED"
