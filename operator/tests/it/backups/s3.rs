//! Backups in a real store that speaks S3, as it should and as it should not: throttled, cut, refused, expired, killed in the middle. Needs
//! `ci/images stores`, so that these run in `ci/full --only stores`.

use super::ground::{Ground, Restored, client, fill_for_parts};
use super::proxy::{Behaviour, Proxy, Request};
use crate::support::etcd::{RealEtcd, VERSIONS, cache, free_address};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The store, what is between it and us, and an etcd with data.
struct Place {
    ground: Ground,
    etcd: RealEtcd,
    proxy: Proxy,
    gateway: Child,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

impl Place {
    async fn open(behaviour: impl Fn(&Request) -> Behaviour + Send + Sync + 'static) -> Place {
        let ground = Ground::new(VERSIONS[1]);
        for folder in ["objects/backups", "attributes"] {
            std::fs::create_dir_all(ground.path(folder)).unwrap();
        }
        let address = free_address();
        let program = cache().join("tools/versitygw/versitygw");
        assert!(program.exists(), "{} is missing; ci/images stores builds it", program.display());
        let gateway = Command::new(program)
            .args([
                "--access",
                "key",
                "--secret",
                "secret",
                "--region",
                "here",
                "--port",
                &address.to_string(),
            ])
            .args(["posix", "--sidecar"])
            .args([ground.path("attributes"), ground.path("objects")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Proxy::before(address, behaviour).await;
        let etcd = RealEtcd::start();
        fill_for_parts(&mut client(&etcd.endpoint().to_string()).await).await;
        Place { ground, etcd, proxy, gateway }
    }

    fn command(&self, command: &str, secret: &str) -> Command {
        let mut program = self.ground.program(command, "s3://backups/etcd");
        program
            .args(["--store-endpoint", &self.proxy.url(), "--store-region", "here", "--store-path-style"])
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", secret);
        program
    }

    fn backup(&self) -> Command {
        let mut program = self.command("backup", "secret");
        program.args(["--endpoints", &self.etcd.endpoint().to_string()]);
        program
    }

    fn list(&self) -> String {
        let mut list = self.command("list", "secret");
        Ground::said(list.args(["-o", "json"])).succeeded().output
    }

    /// The store's own folder of our objects, and of uploads that were not ended.
    fn objects(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let found = Ground::files_below(&self.ground.path("objects/backups"));
        let is_part = |path: &PathBuf| path.components().any(|part| part.as_os_str() == ".sgwtmp");
        let (parts, objects) = found.into_iter().partition(is_part);
        (objects, parts)
    }
}

fn is_part(request: &Request, number: u32) -> bool {
    request.method == "PUT" && request.query.contains(&format!("partNumber={number}&"))
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_several_parts_is_proved_and_restored() {
    let place = Place::open(|_| Behaviour::Forward).await;
    let name = Ground::said(&mut place.backup()).succeeded().output.trim().to_owned();
    assert!(place.proxy.seen(|request| is_part(request, 3)), "it had several parts");
    let (objects, parts) = place.objects();
    assert_eq!((objects.len(), parts.len()), (3, 0), "{objects:?} {parts:?}");
    let data = place.ground.path("data");
    let mut restore = place.command("restore", "secret");
    restore.args(["--backup", &name, "--initial-cluster-token", "another", "--data-dir"]).arg(&data);
    Ground::said(&mut restore).succeeded();
    let restored = Restored::start(&place.ground, "data");
    let had = client(&place.etcd.endpoint().to_string()).await.get("key-000", None).await.unwrap();
    let has = client(restored.url()).await.get("key-000", None).await.unwrap();
    assert_eq!(had.kvs()[0].value(), has.kvs()[0].value());
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_throttles_fails_and_cuts_for_a_while_gets_the_backup_all_the_same() {
    let place = Place::open(|request| match request.number {
        3 | 5 => Behaviour::Answer(503, "SlowDown", "Please reduce your request rate."),
        8 => Behaviour::Answer(500, "InternalError", "We encountered an internal error."),
        7 | 10 => Behaviour::Cut,
        _ => Behaviour::Forward,
    })
    .await;
    Ground::said(&mut place.backup()).succeeded();
    assert!(place.proxy.seen(|request| request.number > 10), "all of it was met");
    let mut verify = place.command("verify", "secret");
    Ground::said(&mut verify).succeeded();
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_and_a_store_that_may_only_be_read_are_told_in_its_own_words() {
    let place = Place::open(|request| match request.method.as_str() {
        "PUT" | "POST" => Behaviour::Answer(403, "AccessDenied", "You may only read."),
        _ => Behaviour::Forward,
    })
    .await;
    let said =
        Ground::said(&mut place.command("list", "wrong")).refused("403 Forbidden: SignatureDoesNotMatch: ");
    assert!(!said.errors.contains("StringToSign"), "{}", said.errors);
    Ground::said(&mut place.backup()).refused("AccessDenied: You may only read.");
    assert_eq!(place.objects(), (Vec::new(), Vec::new()));
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expire_midway_leave_no_backup() {
    let expired = std::sync::atomic::AtomicBool::new(false);
    let place = Place::open(move |request| {
        let now = is_part(request, 2) || expired.load(std::sync::atomic::Ordering::SeqCst);
        expired.store(now && !request.path.ends_with("list"), std::sync::atomic::Ordering::SeqCst);
        if now && request.method != "GET" {
            Behaviour::Answer(400, "ExpiredToken", "The provided token has expired.")
        } else {
            Behaviour::Forward
        }
    })
    .await;
    let said = Ground::said(&mut place.backup()).refused("ExpiredToken: The provided token has expired.");
    assert!(said.errors.contains("stays until the next backup"), "{}", said.errors);
    assert_eq!(place.list().trim(), "[]");
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_leaves_word_and_the_next_one_ends_its_upload() {
    let place = Place::open(|request| {
        if is_part(request, 2) && request.number < 12 { Behaviour::Stall } else { Behaviour::Forward }
    })
    .await;
    let mut killed = place.backup().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    place.proxy.wait_for(|request| is_part(request, 2)).await;
    while place.objects().1.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(place.list().trim(), "[]", "a cut upload is no backup");
    let (objects, parts) = place.objects();
    assert!(objects.len() == 1 && !parts.is_empty(), "{objects:?} {parts:?}");
    let record = std::fs::read_to_string(&objects[0]).unwrap();
    assert!(record.contains("uploadId"), "{record}");
    let old = record.lines().map(|line| match line.split_once("\"givenUpAt\"") {
        Some(_) => "  \"givenUpAt\": \"2026-01-01T00:00:00Z\",",
        None => line,
    });
    std::fs::write(&objects[0], old.collect::<Vec<_>>().join("\n")).unwrap();
    let said = Ground::said(&mut place.backup()).succeeded();
    assert!(said.errors.contains("removing what was left of"), "{}", said.errors);
    let (objects, parts) = place.objects();
    assert_eq!((objects.len(), parts.len()), (3, 0), "{objects:?} {parts:?}");
}

#[ignore = "needs ci/images stores"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_interrupted_takes_back_what_it_stored() {
    let place =
        Place::open(|request| if is_part(request, 2) { Behaviour::Stall } else { Behaviour::Forward }).await;
    let mut interrupted = place.backup();
    let interrupted = interrupted.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    place.proxy.wait_for(|request| is_part(request, 2)).await;
    let id = nix::unistd::Pid::from_raw(i32::try_from(interrupted.id()).unwrap());
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
    let waiting = tokio::task::spawn_blocking(move || interrupted.wait_with_output());
    let ended =
        tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it ends").unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("interrupted"));
    assert_eq!(place.objects(), (Vec::new(), Vec::new()));
}
