//! What a fleet costs, measured in one run: at rest, while some clusters change, and while some have a dead member. Not part of
//! `cargo test`, because it takes minutes and wants the machine for itself:
//! `FLEET_CLUSTERS="10 100 1000" cargo test -p etcd-operator --test it -- --ignored --nocapture what_a_fleet_costs`. `FLEET_OPERATOR` is
//! the program that is measured, for example a release build; the one of this build unless said.

use super::stale::{point_service_at_nobody, selects_members};
use super::{Fleet, eventually, in_own_network, name, namespace};
use crate::process::{Operator, Scene};
use etcd_operator_core::api::MemberHealth;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// For how long each state of the fleet is measured, unless `FLEET_SECONDS` says otherwise.
const WINDOW_SECONDS: u64 = 30;
/// Before, the fleet is left alone until nobody has listed anything for so long: by then the watches have told everything that happened
/// while it formed, and the operator has looked at it.
const QUIET: Duration = Duration::from_secs(10);
/// An operator that never comes to rest is measured as it is.
const LONGEST_SETTLE: Duration = Duration::from_secs(300);

/// What a fleet may cost, whatever its size.
const MOST_REQUESTS_A_SECOND: f64 = 5.0;
const MOST_OF_A_CORE: f64 = 0.15;
const MOST_MEMORY_MIB: f64 = 100.0;
const LONGEST_REPAIR: Duration = Duration::from_secs(1);
const LONGEST_UNSEEN: Duration = Duration::from_secs(10);

/// What was measured of one fleet.
struct Costs {
    clusters: usize,
    rest: Window,
    /// From a change to its repair, the longest: while some clusters change, and while some have a dead member too.
    repair: [Duration; 2],
    /// Until a dead member showed in the status, the longest.
    unseen: Duration,
}

/// What one stretch of time cost.
struct Window {
    requests: BTreeMap<&'static str, f64>,
    connections: f64,
    calls: f64,
    health_questions: f64,
    of_a_core: f64,
    memory_mib: f64,
}

#[test]
#[ignore = "a measurement of minutes that wants the machine for itself; see the module's documentation"]
fn what_a_fleet_costs() {
    let sizes = std::env::var("FLEET_CLUSTERS").unwrap_or_else(|_| "100".to_owned());
    let sizes: Vec<usize> =
        sizes.split(' ').map(|size| size.parse().expect("FLEET_CLUSTERS has numbers")).collect();
    println!(
        "| clusters | state | API requests/s | of them lists | etcd connections/s | etcd calls/s | health questions/s | of a core | memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let costs: Vec<Costs> = sizes.into_iter().map(measure).collect();
    println!(
        "\n| clusters | repair while 1 % change | repair while 1 % are dead | a dead member shows after |\n|---|---|---|---|"
    );
    for of in &costs {
        let [changing, dead] = of.repair;
        println!("| {} | {changing:.2?} | {dead:.2?} | {:.1?} |", of.clusters, of.unseen);
    }
    print_growth(&costs);
    costs.iter().for_each(assert_within_limits);
}

fn assert_within_limits(costs: &Costs) {
    let Costs { clusters, rest, repair, unseen } = costs;
    let requests: f64 = rest.requests.values().sum();
    assert_eq!(rest.requests.get("list").copied().unwrap_or(0.0), 0.0, "{clusters}: lists at rest");
    assert!(requests <= MOST_REQUESTS_A_SECOND, "{clusters}: {requests} requests a second at rest");
    assert!(rest.of_a_core <= MOST_OF_A_CORE, "{clusters}: {} of a core at rest", rest.of_a_core);
    assert!(rest.memory_mib <= MOST_MEMORY_MIB, "{clusters}: {} MiB", rest.memory_mib);
    assert!(repair.iter().all(|repair| *repair <= LONGEST_REPAIR), "{clusters}: repairs took {repair:?}");
    assert!(*unseen <= LONGEST_UNSEEN, "{clusters}: a dead member showed after {unseen:?}");
}

fn print_growth(costs: &[Costs]) {
    let (Some(least), Some(most)) = (costs.first(), costs.last()) else { return };
    let requests = |of: &Costs| of.rest.requests.values().sum::<f64>();
    println!(
        "\nFrom {} to {} clusters at rest: API requests × {:.1}, processor time × {:.1}, memory × {:.1}.",
        least.clusters,
        most.clusters,
        requests(most) / requests(least),
        most.rest.of_a_core / least.rest.of_a_core,
        most.rest.memory_mib / least.rest.memory_mib
    );
}

fn measure(clusters: usize) -> Costs {
    let mut measured = None;
    in_own_network(async || measured = Some(Measured::start(clusters).await.costs().await));
    measured.expect("the work above ends with a result")
}

/// Waits until nobody lists anything any more.
async fn settle(scene: &Scene) {
    let began = Instant::now();
    let lists = || scene.server.requests().get("list").copied().unwrap_or(0);
    let (mut last, mut since) = (lists(), Instant::now());
    while since.elapsed() < QUIET && began.elapsed() < LONGEST_SETTLE {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if lists() != last {
            (last, since) = (lists(), Instant::now());
        }
    }
    eprintln!("at rest {:.0?} later", began.elapsed());
}

/// A fleet, its operator, and the API server between them.
struct Measured {
    clusters: usize,
    time: Duration,
    scene: Scene,
    operator: Operator,
    fleet: Fleet,
}

impl Measured {
    async fn start(clusters: usize) -> Self {
        let scene = Scene::new().await;
        let operator = match std::env::var_os("FLEET_OPERATOR") {
            Some(program) => Operator::start_program(program.as_ref(), &scene.kubeconfig, "pod"),
            None => Operator::start(&scene.kubeconfig, "pod"),
        };
        let fleet = Fleet::start(scene.client.clone());
        let began = Instant::now();
        fleet.grow_to(clusters).await;
        eprintln!("{clusters} clusters have formed in {:.0?}", began.elapsed());
        settle(&scene).await;
        let seconds =
            std::env::var("FLEET_SECONDS").map_or(WINDOW_SECONDS, |text| text.parse().expect("a number"));
        Self { clusters, time: Duration::from_secs(seconds), scene, operator, fleet }
    }

    async fn costs(self) -> Costs {
        let rest = self.window("at rest", async || tokio::time::sleep(self.time).await).await;
        let mut repair = [Duration::ZERO; 2];
        self.window("1 % change", async || repair[0] = self.change_for(self.time).await).await;
        let unseen = self.kill_some().await;
        self.window("1 % are dead", async || repair[1] = self.change_for(self.time).await).await;
        Costs { clusters: self.clusters, rest, repair, unseen }
    }

    /// One cluster in a hundred, but one at least.
    fn some(&self) -> usize {
        self.clusters.div_ceil(100)
    }

    /// What happens while the work goes on, printed as a row.
    async fn window(&self, state: &str, work: impl AsyncFnOnce()) -> Window {
        let (began, requests, asked, used) = (
            Instant::now(),
            self.scene.server.requests(),
            self.fleet.etcds.asked(),
            self.operator.processor_time(),
        );
        work().await;
        let seconds = began.elapsed().as_secs_f64();
        let rate = |before: u64, after: u64| (after - before) as f64 / seconds;
        let after = self.scene.server.requests();
        let now = self.fleet.etcds.asked();
        let window = Window {
            requests: after
                .into_iter()
                .map(|(verb, count)| (verb, rate(requests.get(verb).copied().unwrap_or(0), count)))
                .collect(),
            connections: rate(asked.connections, now.connections),
            calls: rate(asked.calls, now.calls),
            health_questions: rate(asked.health_questions, now.health_questions),
            of_a_core: (self.operator.processor_time() - used).as_secs_f64() / seconds,
            memory_mib: self.operator.memory_mib(),
        };
        println!(
            "| {} | {state} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} | {:.1} % | {:.0} MiB |",
            self.clusters,
            window.requests.values().sum::<f64>(),
            window.requests.get("list").copied().unwrap_or(0.0),
            window.connections,
            window.calls,
            window.health_questions,
            window.of_a_core * 100.0,
            window.memory_mib,
        );
        window
    }

    /// Every second other clusters, one in a hundred, are changed, but none of those that will have a dead member; how long the longest
    /// repair took.
    async fn change_for(&self, time: Duration) -> Duration {
        let began = Instant::now();
        let mut longest = Duration::ZERO;
        let mut changed = (self.some()..self.clusters).cycle();
        while began.elapsed() < time {
            for cluster in changed.by_ref().take(self.some()) {
                let at = Instant::now();
                point_service_at_nobody(&self.fleet, cluster).await;
                eventually("the repair", async || selects_members(&self.fleet, cluster).await.then_some(()))
                    .await;
                longest = longest.max(at.elapsed());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        longest
    }

    /// One member of each of the first clusters stands still, all at once; until the last of them shows in a status.
    async fn kill_some(&self) -> Duration {
        let mut dead = Vec::new();
        for cluster in 0..self.some() {
            let pods: Api<Pod> = Api::namespaced(self.scene.client.clone(), &namespace(cluster));
            let of = format!("etcd.operators.rs/cluster={}", name(cluster));
            let pods = pods.list(&ListParams::default().labels(&of)).await.unwrap();
            let pod = pods.items.last().expect("a cluster has pods");
            let address: Ipv4Addr =
                pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()).unwrap().parse().unwrap();
            dead.push((cluster, pod.name_any().trim_end_matches("-0").to_owned(), address));
        }
        let at = Instant::now();
        dead.iter().for_each(|(_, _, address)| self.fleet.etcds.stand_still(*address, true));
        for (cluster, member, _) in &dead {
            eventually("the dead member shows", async || {
                let cluster = self.fleet.clusters(&namespace(*cluster)).get(&name(*cluster)).await.unwrap();
                let status = cluster.status.unwrap_or_default();
                let dead = status.members.into_iter().find(|one| one.name == *member)?;
                (dead.health != MemberHealth::Healthy).then_some(())
            })
            .await;
        }
        at.elapsed()
    }
}
