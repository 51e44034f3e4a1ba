"""Builds and removes hosts on one Linux bridge with Mininet, as told on standard input.

Each line in is a number of hosts; each line out is JSON with the seconds that building them and
removing them took. Loading Python and Mininet is not in them.
"""
import json
import sys
import time

from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

setLogLevel('critical')
print(json.dumps({'ready': True}), flush=True)
for line in sys.stdin:
    hosts = int(line)
    began = time.monotonic()
    net = Mininet(topo=SingleSwitchTopo(hosts), switch=LinuxBridge, controller=None)
    net.start()
    built = time.monotonic()
    if len(net.hosts) != hosts or any(not host.intfs for host in net.hosts):
        raise SystemExit('Mininet did not build what it was asked for')
    net.stop()
    removed = time.monotonic()
    print(json.dumps({'build': built - began, 'remove': removed - built}), flush=True)
