// Command network stands in for kindnetd, kind's network add-on, which no module registry has. On every node it tells the
// kubelet how pods get their addresses, and keeps a route to the pods of every other node. It knows IPv4 only, enforces no
// NetworkPolicy, and translates no addresses: there is nothing outside the cluster to be reached.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// The place that kind's manifest mounts, and the name that kind waits for.
	configurationPath = "/etc/cni/net.d/10-kindnet.conflist"
	pause             = time.Second
	// Nobody answers at the API server's Service before kube-proxy runs on this node.
	callTimeout = 5 * time.Second
)

// Each pod gets a wire of its own to its node, and an address out of the node's share.
const configuration = `{
  "cniVersion": "0.3.1",
  "name": "kindnet",
  "plugins": [
    {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
      "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "%s"}]]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

func main() {
	access, err := rest.InClusterConfig()
	if err != nil {
		log.Fatalf("failed to find the API server: %v", err)
	}
	access.Timeout = callTimeout
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		log.Fatalf("failed to make a client: %v", err)
	}
	node := net.ParseIP(os.Getenv("HOST_IP"))
	for ; ; time.Sleep(pause) {
		if err := follow(client, node); err != nil {
			log.Print(err)
		}
	}
}

// follow looks at all nodes once and makes this one fit.
func follow(client kubernetes.Interface, own net.IP) error {
	nodes, err := client.CoreV1().Nodes().List(context.Background(), meta.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("failed to list nodes: %w", err)
	}
	for _, node := range nodes.Items {
		address := internalAddress(node)
		if node.Spec.PodCIDR == "" || address == nil {
			continue
		}
		if address.Equal(own) {
			err = configure(fmt.Sprintf(configuration, node.Spec.PodCIDR))
		} else {
			err = route(node.Spec.PodCIDR, address)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func internalAddress(node core.Node) net.IP {
	for _, address := range node.Status.Addresses {
		if address.Type == core.NodeInternalIP {
			return net.ParseIP(address.Address)
		}
	}
	return nil
}

// configure writes the file by rename: containerd may read it at any moment.
func configure(text string) error {
	if written, err := os.ReadFile(configurationPath); err == nil && string(written) == text {
		return nil
	}
	unfinished := configurationPath + ".unfinished"
	if err := os.WriteFile(unfinished, []byte(text), 0o644); err != nil {
		return fmt.Errorf("failed to write the network's configuration: %w", err)
	}
	if err := os.Rename(unfinished, configurationPath); err != nil {
		return fmt.Errorf("failed to publish the network's configuration: %w", err)
	}
	return nil
}

func route(pods string, through net.IP) error {
	_, destination, err := net.ParseCIDR(pods)
	if err != nil {
		return fmt.Errorf("failed to read a node's share: %w", err)
	}
	if err := netlink.RouteReplace(&netlink.Route{Dst: destination, Gw: through}); err != nil {
		return fmt.Errorf("failed to route %s through %s: %w", pods, through, err)
	}
	return nil
}
