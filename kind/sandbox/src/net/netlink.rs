//! Route netlink, one blocking request at a time, in whichever network namespace the socket was opened. Blocking is
//! right here: requests run on the short-lived threads that enter a pod's namespace.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::route::{RouteMessage, RouteScope, RouteType};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use rtnetlink::{AddressMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::RawFd;

/// A connection to the kernel's routing tables of one network namespace.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a connection in the calling thread's network namespace.
    pub fn open() -> io::Result<Netlink> {
        let socket = Socket::new(NETLINK_ROUTE)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Makes a wire: `name` here, `peer_name` in the namespace that `peer_namespace` stands for.
    pub fn add_wire(&mut self, name: &str, peer_name: &str, peer_namespace: RawFd) -> io::Result<()> {
        use netlink_packet_route::link::{InfoData, InfoVeth};
        let mut peer = LinkUnspec::new_with_name(peer_name).build();
        peer.attributes.push(LinkAttribute::NetNsFd(peer_namespace));
        let message =
            LinkVeth::new(name, peer_name).set_info_data(InfoData::Veth(InfoVeth::Peer(peer))).build();
        self.request(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Switches an interface on.
    pub fn set_up(&mut self, index: u32) -> io::Result<()> {
        self.request(RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).up().build()), 0)
    }

    /// Removes an interface (and, for a wire, its other end).
    pub fn delete_link(&mut self, index: u32) -> io::Result<()> {
        let message: LinkMessage = LinkUnspec::new_with_index(index).build();
        self.request(RouteNetlinkMessage::DelLink(message), 0)
    }

    /// Gives an interface an address of its own (/32).
    pub fn add_address(&mut self, index: u32, address: Ipv4Addr) -> io::Result<()> {
        let message: AddressMessage =
            AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, 32).build();
        self.request(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Adds a route.
    pub fn add_route(&mut self, route: Route) -> io::Result<()> {
        self.request(RouteNetlinkMessage::NewRoute(route.message()), NLM_F_CREATE | NLM_F_EXCL)
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        self.acknowledgement()
    }

    fn acknowledgement(&mut self) -> io::Result<()> {
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let reply =
                NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).map_err(io::Error::other)?;
            if reply.header.sequence_number != self.sequence {
                continue;
            }
            if let NetlinkPayload::Error(error) = reply.payload {
                return if error.code.is_none() { Ok(()) } else { Err(error.to_io()) };
            }
        }
    }
}

/// The routes which the sandbox uses.
#[derive(Clone, Copy, Debug)]
#[allow(
    missing_docs,
    reason = "the fields say what they are: addresses, networks with their prefix length, interface numbers"
)]
pub enum Route {
    /// This address is at the other end of the interface.
    Wire { address: Ipv4Addr, interface: u32, source: Option<Ipv4Addr> },
    /// Every address of the network goes over the interface to this next hop.
    Via { network: (Ipv4Addr, u8), gateway: Ipv4Addr, interface: u32 },
    /// Everything else goes over the interface to this next hop.
    Default { gateway: Ipv4Addr, interface: u32 },
    /// Every address of the network is our own.
    Own { network: (Ipv4Addr, u8), interface: u32 },
    /// Nothing is at any address of the network: senders learn so at once.
    Unreachable { network: (Ipv4Addr, u8) },
}

impl Route {
    fn message(self) -> RouteMessage {
        const LOCAL_TABLE: u32 = 255;
        let new = RouteMessageBuilder::<Ipv4Addr>::new;
        match self {
            Route::Wire { address, interface, source } => {
                let route =
                    new().destination_prefix(address, 32).output_interface(interface).scope(RouteScope::Link);
                source.into_iter().fold(route, RouteMessageBuilder::<Ipv4Addr>::pref_source).build()
            }
            Route::Via { network: (address, length), gateway, interface } => new()
                .destination_prefix(address, length)
                .gateway(gateway)
                .output_interface(interface)
                .onlink()
                .build(),
            Route::Default { gateway, interface } => {
                new().gateway(gateway).output_interface(interface).onlink().build()
            }
            Route::Own { network: (address, length), interface } => new()
                .destination_prefix(address, length)
                .output_interface(interface)
                .kind(RouteType::Local)
                .scope(RouteScope::Host)
                .table_id(LOCAL_TABLE)
                .build(),
            Route::Unreachable { network: (address, length) } => {
                new().destination_prefix(address, length).kind(RouteType::Unreachable).build()
            }
        }
    }
}

/// The number of an interface in the calling thread's network namespace.
pub fn interface_index(name: &str) -> io::Result<u32> {
    Ok(nix::net::if_::if_nametoindex(name)?)
}
