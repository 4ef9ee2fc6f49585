//! The sandbox's own network namespace, through which all pods are connected: forwarding, the node's address and the
//! service addresses. Done once, before anything else uses the network.

use super::address::{GATEWAY, NODE, PODS, SERVICES};
use super::netlink::{Netlink, Route, interface_index};
use std::io;

/// Configures the network namespace of the calling process.
pub(crate) fn configure() -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let loopback = interface_index("lo")?;
    netlink.set_up(loopback)?;
    netlink.add_address(loopback, NODE)?;
    // Pods ask who has the gateway's address on their wire; an address of our own is answered for on every interface.
    netlink.add_address(loopback, GATEWAY)?;
    // Every service address is ours: a listener makes it work, no listener refuses the connection at once.
    netlink.add_route(Route::Own { network: SERVICES, interface: loopback })?;
    netlink.add_route(Route::Unreachable { network: PODS })?;
    set("net/ipv4/ip_forward", "1")?;
    set("net/ipv4/conf/all/send_redirects", "0")?;
    disable_ipv6()
}

/// Switches IPv6 off in the calling thread's network namespace, where the kernel has it at all.
pub fn disable_ipv6() -> io::Result<()> {
    for which in ["all", "default"] {
        match set(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Sets a kernel parameter of the calling thread's network namespace.
pub fn set(parameter: &str, value: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/sys/{parameter}"), value)
        .map_err(|error| io::Error::new(error.kind(), format!("setting {parameter} to {value}: {error}")))
}
