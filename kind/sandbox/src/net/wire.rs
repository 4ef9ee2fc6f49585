//! Connects one pod: a wire between its network namespace and the sandbox's, an address, and the route to it.

use super::address::{GATEWAY, NODE};
use super::netlink::{Netlink, Route, interface_index};
use super::root::{disable_ipv6, set};
use crate::sys::namespace::{PodNamespaces, make_pod_namespaces};
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;

/// A connected pod. Dropping it cuts the wire; the namespaces go when their last process has.
#[derive(Debug)]
pub(crate) struct PodNetwork {
    pub(crate) address: Ipv4Addr,
    pub(crate) namespaces: PodNamespaces,
    interface: u32,
}

impl PodNetwork {
    /// Makes the namespaces of a pod and connects them. Blocks for some milliseconds.
    pub(crate) fn connect(address: Ipv4Addr, hostname: &str) -> io::Result<PodNetwork> {
        let name = interface_name(address);
        let outside = || Ok((Netlink::open()?, File::open("/proc/thread-self/ns/net")?));
        let namespaces = make_pod_namespaces(outside, |(mut root, root_namespace)| {
            nix::unistd::sethostname(hostname)?;
            disable_ipv6()?;
            // Any user may ping and bind low ports, as container run-times set it.
            set("net/ipv4/ping_group_range", "0 2147483647")?;
            set("net/ipv4/ip_unprivileged_port_start", "0")?;
            let mut pod = Netlink::open()?;
            pod.set_up(interface_index("lo")?)?;
            pod.add_wire("eth0", &name, root_namespace.as_raw_fd())?;
            let inside = interface_index("eth0")?;
            let there = index_in(&root_namespace, &name)?;
            root.set_up(there)?;
            pod.add_address(inside, address)?;
            pod.set_up(inside)?;
            pod.add_route(Route::Wire { address: GATEWAY, interface: inside, source: None })?;
            pod.add_route(Route::Default { gateway: GATEWAY, interface: inside })?;
            root.add_route(Route::Wire { address, interface: there, source: Some(NODE) })
        })?;
        let interface = interface_index(&name)?;
        Ok(PodNetwork { address, namespaces, interface })
    }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        // The interface may be gone already; there is nobody to tell.
        let _ = Netlink::open().and_then(|mut netlink| netlink.delete_link(self.interface));
    }
}

/// The number of an interface of the sandbox, asked from a thread that sits in a pod.
fn index_in(namespace: &File, name: &str) -> io::Result<u32> {
    crate::sys::namespace::inside_network(&namespace.try_clone()?.into(), || interface_index(name))
}

/// At most 15 characters: the last two bytes of the address make it unique.
fn interface_name(address: Ipv4Addr) -> String {
    let [_, _, third, fourth] = address.octets();
    format!("pod-{third}-{fourth}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_name_fits_the_kernel() {
        assert_eq!(interface_name(Ipv4Addr::new(10, 244, 255, 250)), "pod-255-250");
    }
}
