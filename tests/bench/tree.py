#!/usr/bin/env python3
"""tree.py DIR INTERFACES DISKS MOUNTS: a host of that size as files, for --path.procfs=DIR/proc and so on."""
import os
import sys

root, interfaces, disks, mounts = sys.argv[1], *map(int, sys.argv[2:])


def put(path, text):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


NET = {"address": "01:01:01:01:01:01", "addr_assign_type": "3", "addr_len": "6", "broadcast": "ff:ff:ff:ff:ff:ff", "carrier": "1",
       "carrier_changes": "2", "carrier_down_count": "1", "carrier_up_count": "1", "dev_id": "0x20", "dormant": "1", "duplex": "full",
       "flags": "0x1303", "ifalias": "", "ifindex": "2", "iflink": "2", "link_mode": "1", "mtu": "1500", "name_assign_type": "2",
       "netdev_group": "0", "operstate": "up", "phys_port_id": "", "proto_down": "0", "speed": "1000", "tx_queue_len": "1000", "type": "1"}
lines = ["Inter-|   Receive                                                |  Transmit",
         " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed"]
for n in range(interfaces):
    lines.append(f"veth{n}: 10437182923 13899359 0 0 0 0 0 0 2851649360 11726200 0 0 0 0 0 0")
    for name, text in NET.items():
        put(f"sys/class/net/veth{n}/{name}", text + "\n")
put("proc/net/dev", "\n".join(lines) + "\n")

lines = []
for n in range(disks):
    lines.append(f"   8 {n} sd{n} 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 82621804 0 0 0 0 7 8")
    put(f"sys/block/sd{n}/queue/rotational", "0\n")
    put(f"udev/data/b8:{n}", f"E:ID_MODEL=disk\nE:ID_SERIAL_SHORT={n}\n")
put("proc/diskstats", "\n".join(lines) + "\n")

lines = []
for n in range(mounts):
    os.makedirs(os.path.join(root, f"data/{n}"), exist_ok=True)
    lines.append(f"{n + 30} 1 8:{n} / /data/{n} rw,relatime shared:1 - ext4 /dev/sd{n} rw")
put("proc/1/mountinfo", "\n".join(lines) + "\n")
