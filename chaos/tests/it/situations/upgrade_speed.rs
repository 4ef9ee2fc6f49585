//! How fast three members come to the next minor of etcd under load, and for how long nobody can write meanwhile, beside the same by
//! hand: `kubectl set image` on a plain StatefulSet of the same etcd, in the same run. A measurement, run for its numbers:
//! `CHAOS_TEST_CLUSTER=bare cargo test --workspace --test it -- --ignored --nocapture how_fast --test-threads 1`.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::ground::Ground;
use super::speed::{make_plain, plain_pods};
use super::subject::{Subject, is_ready};
use crate::promises::arena::PATIENCE;
use crate::promises::writers;

const MEMBERS: u32 = 3;
const IMAGE: &str = "quay.io/coreos/etcd:v3.7.3";
/// How long a client waits for an answer.
const CALL_LIMIT: Duration = Duration::from_secs(1);
/// How often it is looked whether writes go on. What is shorter than two looks is not seen.
const LOOK: Duration = Duration::from_millis(50);
/// A pause between two acknowledged writes that is longer than this was one: forty are tried each second.
const PAUSE: Duration = Duration::from_millis(200);

/// What an upgrade took.
struct Took {
    all: Duration,
    /// All pauses of writes together.
    paused: Duration,
    longest_pause: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement that wants the machine for itself; see the module's documentation"]
async fn how_fast_an_upgrade_goes_and_how_long_nobody_can_write_beside_the_same_by_hand() {
    let ours = upgrade_ours().await;
    let by_hand = upgrade_by_hand().await;
    println!(
        "\n| upgrade of 3 from 3.6.16 to 3.7.3 under load | seconds | per member | writes out, per member | longest |"
    );
    println!("|---|---|---|---|---|");
    for (what, took) in [("EtcdCluster, soak 1 s", ours), ("plain StatefulSet, `kubectl set image`", by_hand)]
    {
        println!(
            "| {what} | {:.1} | {:.1} | {:.2} | {:.2} |",
            took.all.as_secs_f64(),
            (took.all / MEMBERS).as_secs_f64(),
            (took.paused / MEMBERS).as_secs_f64(),
            took.longest_pause.as_secs_f64()
        );
    }
}

async fn upgrade_ours() -> Took {
    let ground = Ground::open("upgrade-ours").await;
    let demo = Subject::create(&ground, "demo", json!({})).await;
    demo.is_ready(3).await;
    writers::start(&ground.client, &ground.namespace, "demo", None, CALL_LIMIT).await;
    demo.change(json!({ "version": "3.7.3" })).await.unwrap();
    measure(&ground, async || demo.pods().await).await
}

async fn upgrade_by_hand() -> Took {
    let ground = Ground::open("upgrade-by-hand").await;
    make_plain(&ground, "plain").await;
    writers::start(&ground.client, &ground.namespace, "plain", None, CALL_LIMIT).await;
    ground.kubectl(&["set", "image", "statefulset/plain", &format!("etcd={IMAGE}")]).unwrap();
    measure(&ground, async || plain_pods(&ground, "plain").await).await
}

/// Looks until every member serves with the new image.
async fn measure(ground: &Ground, members: impl AsyncFn() -> Vec<Pod>) -> Took {
    let began = Instant::now();
    let (mut before, mut last_write) =
        (writers::acknowledged(&ground.client, &ground.namespace).await, Instant::now());
    let (mut paused, mut longest_pause) = (Duration::ZERO, Duration::ZERO);
    loop {
        let now = writers::acknowledged(&ground.client, &ground.namespace).await;
        if now > before {
            let pause = last_write.elapsed();
            if pause > PAUSE {
                (paused, longest_pause) = (paused + pause, longest_pause.max(pause));
            }
            (before, last_write) = (now, Instant::now());
        }
        let image = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone());
        let pods = members().await;
        let are_done = pods.iter().filter(|pod| is_ready(pod) && image(pod).as_deref() == Some(IMAGE));
        if are_done.count() == MEMBERS as usize && last_write.elapsed() < PAUSE {
            return Took { all: began.elapsed(), paused, longest_pause };
        }
        assert!(began.elapsed() < PATIENCE, "the upgrade did not end");
        tokio::time::sleep(LOOK).await;
    }
}
