//! How the parts of a cluster reach each other: a wire from the control plane to every node, routed, nothing translated.
//! The host has no part in it but one listener on its loopback.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};
use sandbox::host::netlink::{Netlink, Route, interface_index};
use sandbox::host::{disable_ipv6, set_kernel_parameter};

use super::config::{CONTROL_PLANE, NodeIndex};

/// The node's end of its wire.
const NODE_INTERFACE: &str = "eth0";

/// Configures the namespace of the control plane, in which this process is.
pub(super) fn configure_control_plane() -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let loopback = interface_index("lo")?;
    netlink.set_up(loopback)?;
    // An address of our own is answered for on every wire.
    netlink.add_address(loopback, CONTROL_PLANE)?;
    set_kernel_parameter("net/ipv4/ip_forward", "1")?;
    set_kernel_parameter("net/ipv4/conf/all/send_redirects", "0")?;
    disable_ipv6()
}

/// Makes the wire to a node whose first process is `process`, and the routes to the node and its pods.
pub(super) fn add_node(node: NodeIndex, process: u32) -> Result<()> {
    let path = format!("/proc/{process}/ns/net");
    let namespace = File::open(&path).with_context(|| format!("failed to open {path}"))?;
    let connect = || -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        netlink.add_wire(&node.name(), NODE_INTERFACE, namespace.as_raw_fd())?;
        let interface = interface_index(&node.name())?;
        netlink.set_up(interface)?;
        let source = Some(CONTROL_PLANE);
        netlink.add_route(Route::Wire { address: node.address(), interface, source })?;
        netlink.add_route(Route::Via { network: node.pods(), gateway: node.address(), interface })
    };
    connect().with_context(|| format!("failed to connect {}", node.name()))
}

/// Configures the namespace of a node, in which this process is, when its wire is there.
pub(super) fn configure_node(address: Ipv4Addr) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let loopback = interface_index("lo")?;
    netlink.set_up(loopback)?;
    let interface = interface_index(NODE_INTERFACE)?;
    netlink.add_address(interface, address)?;
    netlink.set_up(interface)?;
    netlink.add_route(Route::Default { gateway: CONTROL_PLANE, interface })?;
    set_kernel_parameter("net/ipv4/ip_forward", "1")?;
    set_kernel_parameter("net/ipv4/conf/all/send_redirects", "0")?;
    disable_ipv6()
}
