//! One fault under way: what it may use, and how its stages reach the record and the board. Breaks nothing itself.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject};
use kube::{Client, ResourceExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent::client::{AgentTarget, DataVolume, EphemeralAgent};
use crate::live::board::BoardSender;
use crate::live::event_log::EventLog;
use crate::live::journal::Journal;
use crate::live::samples;
use crate::progress::Display;
use crate::record::{Event, ObjectIdentity, Proof, TargetRole, TargetedPod};
use crate::scenario::{Encryption, Step};
use crate::subject::{etcd, operator};
use crate::targeting::{SeenMember, View};

/// How often the API is asked while something is waited for.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// Where a member's volume is mounted, as the operator mounts it.
pub(super) const DATA_MOUNT: &str = "/var/lib/etcd";
/// The directory below it that etcd writes to.
pub(super) const DATA_DIRECTORY: &str = "/var/lib/etcd/data";

/// What faults use; the same for all faults of a run.
pub struct FaultContext {
    /// For plain calls.
    pub client: Client,
    /// The run's namespace.
    pub namespace: String,
    /// The cluster under test.
    pub cluster: String,
    /// Breaks things from inside pods.
    pub agent: EphemeralAgent,
    /// What is known now.
    pub board: BoardSender,
    /// The record.
    pub recorder: EventLog,
    /// What `chaos heal` must undo if this process dies.
    pub journal: Journal,
    /// Cancelled when all faults shall end at once.
    pub ending: CancellationToken,
    /// Cancelled when the user wants no more of the run.
    pub interrupt: CancellationToken,
    /// What the person sees.
    pub display: Display,
    /// What is spoken with the cluster under test.
    pub encryption: Encryption,
    /// An address that no partition cuts: the API server's Service.
    pub api_server: SocketAddrV4,
    /// How long Kubernetes and the operator may take to do what they owe after a fault.
    pub repair_within: Duration,
}

/// One fault of the schedule and what it may use.
pub struct Case<'a> {
    /// What every fault uses.
    pub context: &'a FaultContext,
    /// The fault.
    pub step: &'a Step,
}

/// Whom a fault hits, chosen a moment ago.
#[derive(Clone, Debug, Default)]
pub struct Victims {
    /// Members, each with its pod.
    pub members: Vec<SeenMember>,
    /// Pods of the operator.
    pub operator: Vec<Pod>,
    /// The volume claims of the members, for faults that take them away.
    pub claims: Vec<ObjectIdentity>,
    /// The cluster as it was seen when the choice was made.
    pub view: View,
}

impl Victims {
    /// The targets as the record keeps them.
    #[must_use]
    pub fn targeted(&self) -> Vec<TargetedPod> {
        let members = self.members.iter().filter_map(|member| {
            let pod = member.pod.as_ref()?;
            let role = if self.view.leader == Some(member.id) {
                TargetRole::Leader
            } else if member.learner {
                TargetRole::Learner
            } else {
                TargetRole::Follower
            };
            Some(TargetedPod {
                pod: pod.pod.clone(),
                uid: pod.uid.clone(),
                member: Some(member.name.clone()),
                member_id: Some(member.id),
                claim: self.claims.iter().find(|claim| claim.name == etcd::claim_of(&member.name)).cloned(),
                role,
            })
        });
        let operator = self.operator.iter().map(|pod| TargetedPod {
            pod: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            member: None,
            member_id: None,
            claim: None,
            role: TargetRole::Operator,
        });
        members.chain(operator).collect()
    }
}

/// A pod that an agent shall enter.
#[derive(Clone, Debug)]
pub struct Entered {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// Its uid.
    pub uid: String,
    /// The container whose process is the target.
    pub container: &'static str,
    /// Its address.
    pub address: Option<Ipv4Addr>,
}

impl Entered {
    /// The target as the agent's client takes it.
    #[must_use]
    pub fn agent_target(&self) -> AgentTarget {
        let member = self.container == etcd::CONTAINER;
        let volume = || DataVolume { name: "data".to_owned(), mount_path: DATA_MOUNT.to_owned() };
        AgentTarget {
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            pod_uid: self.uid.clone(),
            container: self.container.to_owned(),
            data_volume: member.then(volume),
        }
    }
}

impl Case<'_> {
    /// Every pod that the fault enters.
    #[must_use]
    pub fn entered(&self, victims: &Victims) -> Vec<Entered> {
        let members = victims.members.iter().filter_map(|member| member.pod.as_ref()).map(|pod| Entered {
            namespace: self.context.namespace.clone(),
            pod: pod.pod.clone(),
            uid: pod.uid.clone(),
            container: etcd::CONTAINER,
            address: pod.address,
        });
        let operators = victims.operator.iter().map(|pod| Entered {
            namespace: operator::NAMESPACE.to_owned(),
            pod: pod.name_any(),
            uid: pod.uid().unwrap_or_default(),
            container: operator::NAME,
            address: None,
        });
        members.chain(operators).collect()
    }

    /// The pod that stands for a member in the record: the one that was its target. None for objects of the whole cluster.
    pub fn pod_of(&self, victims: &Victims, member: Option<&str>) -> Option<String> {
        let victim = victims.members.iter().find(|victim| Some(victim.name.as_str()) == member)?;
        victim.pod.as_ref().map(|pod| pod.pod.clone())
    }

    /// Marks the victims as hit, so that no other fault takes the same spare member.
    pub fn mark(&self, victims: &Victims) {
        let hit: Vec<String> = victims.members.iter().map(|member| member.name.clone()).collect();
        let holds = self.step.fault.stops_members();
        self.context.board.send_modify(|board| {
            let state = board.faults.entry(self.step.name.clone()).or_default();
            state.began = Some(Instant::now());
            state.hit = hit;
            state.holds = holds;
        });
    }

    /// One more member is away because of the fault until it is released.
    pub fn also_hits(&self, member: &SeenMember) {
        self.context.board.send_modify(|board| {
            let state = board.faults.entry(self.step.name.clone()).or_default();
            state.hit.push(member.name.clone());
            state.holds = true;
        });
    }

    /// The fault and its proofs are done: its victims no longer count as away because of it.
    pub fn release(&self) {
        self.context.board.send_modify(|board| {
            let state = board.faults.entry(self.step.name.clone()).or_default();
            state.holds = false;
            state.released = Some(Instant::now());
        });
    }

    /// The targets are chosen and the fault comes next.
    pub fn injecting(&self, victims: &Victims) {
        let targets = victims.targeted();
        let named: Vec<String> =
            targets.iter().map(|target| format!("{} ({})", target.pod, target.role)).collect();
        let named = if named.is_empty() { self.step.target.to_string() } else { named.join(", ") };
        self.context.display.say(&format!("breaking: {} in {named}", self.step.name));
        self.context.recorder.record(Event::FaultInjecting { fault: self.step.name.clone(), targets });
    }

    /// The fault is in force.
    pub fn injected(&self) {
        self.context.recorder.record(Event::FaultInjected { fault: self.step.name.clone() });
        self.context.board.send_modify(|board| {
            board.faults.entry(self.step.name.clone()).or_default().injected = Some(Instant::now());
        });
    }

    /// The fault is over.
    pub fn healed(&self) {
        self.context.recorder.record(Event::FaultHealed { fault: self.step.name.clone() });
        self.context.display.say(&format!("over: {}", self.step.name));
        self.context.board.send_modify(|board| {
            board.faults.entry(self.step.name.clone()).or_default().ended = Some(Instant::now());
        });
    }

    /// Something was measured.
    pub fn prove(&self, pod: Option<&str>, proof: Proof) {
        let fault = self.step.name.clone();
        self.context.recorder.record(Event::FaultProof { fault, pod: pod.map(str::to_owned), proof });
    }

    /// Waits for the fault's time to pass, or for the order to end all faults.
    pub async fn hold(&self, lasting: Duration) {
        tokio::select! {
            biased;
            () = self.context.ending.cancelled() => {}
            () = tokio::time::sleep(lasting) => {}
        }
    }

    /// The cluster under test as it is now.
    ///
    /// # Errors
    /// If the API does not answer.
    pub async fn cluster(&self) -> Result<DynamicObject> {
        etcd::read(&self.context.client, &self.context.namespace, &self.context.cluster).await
    }

    /// The pods of a namespace.
    #[must_use]
    pub fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.context.client.clone(), namespace)
    }

    /// The process that runs in each pod now, by pod name; a pod without one is an error, as nothing could be proved.
    pub async fn processes(
        &self,
        entered: &[Entered],
    ) -> Result<BTreeMap<String, crate::record::ProcessIdentity>> {
        let mut processes = BTreeMap::new();
        for target in entered {
            let pod = self.pods(&target.namespace).get(&target.pod).await;
            let pod = pod.with_context(|| format!("failed to read pod {}", target.pod))?;
            let process = samples::process(&pod, target.container).with_context(|| {
                format!("pod {} runs no container {} that could be hit", target.pod, target.container)
            })?;
            processes.insert(target.pod.clone(), process);
        }
        Ok(processes)
    }

    /// Asks again and again until `ask` gives something. A failed question is asked again too.
    ///
    /// # Errors
    /// When the patience is over, with what was waited for.
    pub async fn wait_for<T, F, A>(&self, what: &str, patience: Duration, ask: F) -> Result<T>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<Option<T>>>,
    {
        match ask_until(patience, ask).await {
            Waited::Seen(found) => Ok(found),
            Waited::NotSeen => bail!("{what} was not seen within {} s", patience.as_secs()),
            Waited::Unknown(error) => {
                Err(error.context(format!("{what} was not seen within {} s", patience.as_secs())))
            }
        }
    }

    /// Like [`Case::wait_for`] for what the operator owes. If it does not come, that is no error of the harness: the
    /// record says so. A watch that has begun goes on when the run ends because of another fault: what the operator fails to
    /// do is often the reason why that one could not begin.
    pub async fn wait_for_operator<T, F, A>(&self, what: &str, ask: F) -> Owed<T>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<Option<T>>>,
    {
        if self.context.ending.is_cancelled() {
            return Owed::Untold;
        }
        let waited = tokio::select! {
            biased;
            () = self.context.interrupt.cancelled() => return Owed::Untold,
            waited = ask_until(self.context.repair_within, ask) => waited,
        };
        let seconds = self.context.repair_within.as_secs();
        let (owed, why) = match waited {
            Waited::Seen(found) => return Owed::Paid(found),
            Waited::NotSeen => (Owed::Missing, format!("{what} was not seen within {seconds} s")),
            Waited::Unknown(error) => {
                (Owed::Untold, format!("{what} was not seen within {seconds} s: {error:#}"))
            }
        };
        self.context.recorder.note(format!("{}: {why}", self.step.name));
        owed
    }
}

/// What came of waiting for the operator.
#[derive(Debug)]
pub enum Owed<T> {
    /// It did what it owes.
    Paid(T),
    /// It was watched for as long as it may take, and it did not.
    Missing,
    /// Nobody looked to the end: the run was ending, or the API did not answer. This says nothing about the operator.
    Untold,
}

/// What came of asking again and again.
enum Waited<T> {
    Seen(T),
    /// The last question was answered, with no.
    NotSeen,
    /// The last question was not answered.
    Unknown(anyhow::Error),
}

async fn ask_until<T, F, A>(patience: Duration, mut ask: F) -> Waited<T>
where
    F: FnMut() -> A,
    A: Future<Output = Result<Option<T>>>,
{
    let deadline = Instant::now() + patience;
    let mut last_error = None;
    while Instant::now() < deadline {
        match ask().await {
            Ok(Some(found)) => return Waited::Seen(found),
            Ok(None) => last_error = None,
            Err(error) => last_error = Some(error),
        }
        tokio::time::sleep(POLL).await;
    }
    last_error.map_or(Waited::NotSeen, Waited::Unknown)
}
