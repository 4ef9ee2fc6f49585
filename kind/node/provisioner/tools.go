//go:build tools

// Package tools names the storage add-on of kind, which is built unchanged from its module. It stands in a module of its own,
// since it spells the name of one dependency as nothing else here does.
package tools

import _ "github.com/rancher/local-path-provisioner"
