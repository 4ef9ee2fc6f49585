// Command kubeadm makes a node a part of a cluster, unchanged: kind calls it in each node.
package main

import (
	"os"

	"k8s.io/kubernetes/cmd/kubeadm/app"
)

func main() {
	if err := app.Run(); err != nil {
		os.Exit(1)
	}
}
