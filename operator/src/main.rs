//! The `etcd-operator` binary: reads its arguments and hands over. It decides nothing.

fn main() -> anyhow::Result<()> {
    etcd_operator::manifest::print_install()
}
