//! Certificates in the model: Secrets without secrets, pods that take them up late, and who understands whom. It panics where the operator
//! takes away what somebody still needs.

use std::collections::BTreeMap;

use etcd_operator_core::api::TlsSpec;
use etcd_operator_core::cluster::observed::TlsSeen;
use etcd_operator_core::cluster::target::gate_configuration;
use etcd_operator_core::gate::GateConfiguration;
use etcd_operator_core::names::secrets::{NEXT, OWN, PEER_CLIENT, PEER_SERVER, SERVER};
use etcd_operator_core::names::{
    ANNOTATION_CLIENTS_READY, ANNOTATION_SHOWN, AuthorityKind, MemberName, Pair, Scheme,
};
use etcd_operator_core::tls::facts::{
    CertificateFacts, EntryFacts, Handshake, KeyDigest, MemberHandshakes, SecretFacts,
};
use etcd_operator_core::tls::request::{CertificateRequest, Validity};
use etcd_operator_core::tls::written::{SecretBase, SecretEntry, SecretWrite};
use etcd_operator_core::tls::{MemberTls, Pem, Serves};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Model;

/// Pods see a new content of a Secret after so many seconds at most.
const TAKEN_UP_AFTER_SECONDS: i64 = 40;

/// What a pod's etcd reads at each handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct TakenUp {
    at: Option<Timestamp>,
    certificates: BTreeMap<&'static str, CertificateFacts>,
}

impl Model {
    /// Switches TLS on with lives and waits as they are given, in seconds.
    pub(crate) fn switch_tls_on(&mut self, certificate: i64, authority: i64, trust: i64) {
        self.change_spec(|spec| {
            spec.tls = Some(TlsSpec {
                certificate_lifetime_seconds: certificate,
                authority_lifetime_seconds: authority,
                trust_period_seconds: trust,
                ..TlsSpec::default()
            });
        });
    }

    pub(super) fn write_secret(&mut self, write: &SecretWrite) -> Result<(), String> {
        let live = self.secrets.get(&write.name).cloned();
        let mut secret = match (&write.base, live) {
            (SecretBase::New { .. }, Some(_)) => return Err("already exists".to_owned()),
            (SecretBase::New { owner, labels, .. }, None) => SecretFacts {
                metadata: ObjectMeta {
                    name: Some(write.name.clone()),
                    uid: Some(format!("secret-{}", self.next())),
                    labels: Some(labels.clone()),
                    owner_references: Some(vec![(**owner).clone()]),
                    ..ObjectMeta::default()
                },
                entries: BTreeMap::new(),
            },
            (SecretBase::Live { uid, resource_version }, Some(live)) => {
                let is_same = live.metadata.uid.as_ref() == Some(uid)
                    && live.metadata.resource_version.as_ref() == Some(resource_version);
                if !is_same {
                    return Err("conflict".to_owned());
                }
                live
            }
            (SecretBase::Live { .. }, None) => return Err("not found".to_owned()),
        };
        self.refuse_to_hurry_applications(write);
        for entry in &write.entries {
            self.write_entry(&mut secret, entry)?;
        }
        if write.name == "demo-client-tls" {
            for found in secret.certificates("ca.crt") {
                self.published.entry(found.key.clone()).or_insert(self.now);
            }
        }
        secret.metadata.annotations.get_or_insert_default().extend(write.annotations.clone());
        secret.metadata.resource_version = Some(self.next().to_string());
        self.secrets.insert(write.name.clone(), secret);
        Ok(())
    }

    fn write_entry(&mut self, secret: &mut SecretFacts, entry: &SecretEntry) -> Result<(), String> {
        match entry {
            SecretEntry::Authority { at, common_name, validity } => {
                self.refuse_to_replace_an_authority(secret, *at);
                let made = self.made(common_name, None, *validity);
                put(secret, *at, made);
            }
            SecretEntry::Certificate { at, request, issuer } => {
                let authority = self.secrets.get(&issuer.secret).ok_or("no authority")?;
                if authority.key(issuer.at.key) != Some(&issuer.key) {
                    return Err("the authority has changed".to_owned());
                }
                let CertificateRequest { common_name, names, uses, validity } = request;
                let made = CertificateFacts {
                    names: names.clone(),
                    uses: uses.clone(),
                    ..self.made(common_name, Some(issuer.key.clone()), *validity)
                };
                put(secret, *at, made);
            }
            SecretEntry::Text { at, value } => {
                let named = value.lines().map(|line| self.known(&Pem(format!("{line}\n"))));
                let found =
                    EntryFacts::Certificates(named.collect::<Option<_>>().ok_or("no such authority")?);
                secret.entries.insert(at.clone(), found);
            }
            SecretEntry::Move { from, to } => {
                for (from, to) in [(from.certificate, to.certificate), (from.key, to.key)] {
                    match secret.entries.remove(from) {
                        Some(entry) => drop(secret.entries.insert(to.to_owned(), entry)),
                        None => drop(secret.entries.remove(to)),
                    }
                }
            }
            SecretEntry::Remove { at } => drop(secret.entries.remove(at)),
        }
        Ok(())
    }

    /// The next authority signs once applications had the time to trust it that they were promised, or are said to be ready.
    fn refuse_to_hurry_applications(&self, write: &SecretWrite) {
        let signs = |entry: &SecretEntry| matches!(entry, SecretEntry::Move { from, .. } if *from == NEXT);
        let (Some(tls), true) = (&self.cluster.spec.tls, write.name == "demo-client-ca") else { return };
        if !write.entries.iter().any(signs) {
            return;
        }
        let annotations = self.cluster.metadata.annotations.as_ref();
        let is_ready = annotations.is_some_and(|all| all.get(ANNOTATION_CLIENTS_READY).is_some());
        let next = self.secrets["demo-client-ca"].certificate(NEXT.certificate).expect("what is to sign");
        let since = self.published.get(&next.key).expect("applications were told of it");
        let waited = self.now.duration_since(*since).as_secs();
        assert!(
            is_ready || waited >= tls.trust_period_seconds || !self.is_strict,
            "applications had {waited} s to trust the next authority"
        );
    }

    /// Nothing is ever made in the place of an authority that members trust.
    fn refuse_to_replace_an_authority(&self, secret: &SecretFacts, at: Pair) {
        let kind = if secret.metadata.name.as_deref() == Some("demo-peer-ca") {
            AuthorityKind::Peers
        } else {
            AuthorityKind::Clients
        };
        let trusted = || {
            let processes = self.processes.values().filter(|process| process.runs_etcd);
            processes
                .filter_map(|process| process.tls.as_ref())
                .any(|tls| !tls.authorities.of(kind).is_empty())
        };
        assert!(at != OWN || !trusted() || !self.is_strict, "an authority of {} is made anew", kind.as_str());
    }

    fn made(&mut self, name: &str, signed_by: Option<KeyDigest>, validity: Validity) -> CertificateFacts {
        let key = KeyDigest(format!("key{}", self.next()));
        let made = CertificateFacts {
            serial: format!("serial{}", self.next()),
            common_name: name.to_owned(),
            names: Default::default(),
            uses: Default::default(),
            is_authority: signed_by.is_none(),
            signed_by: signed_by.or_else(|| Some(key.clone())),
            pem: Pem(format!("{}\n", key.0)),
            key,
            not_before: validity.not_before,
            not_after: validity.not_after,
        };
        if made.is_authority {
            self.authorities.push(made.clone());
        }
        made
    }

    fn known(&self, pem: &Pem) -> Option<CertificateFacts> {
        self.authorities.iter().find(|known| known.pem == *pem).cloned()
    }

    /// What the shell reads.
    pub(super) fn tls_seen(&self) -> TlsSeen {
        let is_used = self.processes.values().any(|process| process.tls.is_some());
        if self.cluster.spec.tls.is_none() && !is_used {
            return TlsSeen::default();
        }
        let reachable = self.pods.iter().filter(|(name, _)| {
            self.runs_etcd(name) && !self.unreachable.contains(*name) && !self.operator_is_cut_off
        });
        let handshakes = reachable.filter_map(|(_, pod)| {
            let uid = pod.metadata.uid.clone()?;
            let process = &self.processes[&uid];
            let tls = process.tls.as_ref()?;
            let [peers, clients] =
                AuthorityKind::ALL.map(|kind| self.handshake(kind, tls, &process.taken_up));
            Some((uid, MemberHandshakes { peers, clients }))
        });
        TlsSeen {
            is_read: true,
            secrets: self.secrets.clone(),
            authorities: self.authorities.clone(),
            handshakes: handshakes.collect(),
        }
    }

    fn handshake(&self, kind: AuthorityKind, tls: &MemberTls, taken_up: &TakenUp) -> Option<Handshake> {
        let (secret, at) = match kind {
            AuthorityKind::Peers => ("demo-peer-ca", PEER_SERVER),
            AuthorityKind::Clients => ("demo-client-ca", SERVER),
        };
        let shown = taken_up.certificates.get(at.certificate).filter(|shown| shown.is_good_at(self.now))?;
        let secret = self.secrets.get(secret)?;
        let signs = |at: Pair| {
            let authority = secret.certificate(at.certificate)?;
            (secret.key(at.key) == Some(&authority.key)).then_some(authority)
        };
        let by = signs(NEXT).or_else(|| signs(OWN));
        if let Some(by) = by {
            tls.authorities.of(kind).contains(&by.pem).then_some(())?;
        }
        Some(Handshake { serial: shown.serial.clone(), accepted: by.map(|by| by.key.clone()) })
    }

    /// How the gate of a pod was told to use TLS.
    pub(crate) fn told(&self, pod: &str) -> Option<MemberTls> {
        let GateConfiguration { tls, .. } = gate_configuration(self.pods.get(pod)?.spec.as_ref()?)?;
        tls
    }

    /// Whether the Secret is there that a pod mounts, if it mounts one.
    pub(super) fn has_certificates(&self, pod: &str) -> bool {
        let name = format!("{}-tls", pod.trim_end_matches("-0"));
        self.told(pod).is_none() || self.secrets.contains_key(&name)
    }

    /// Pods see what Secrets hold after a while, and at once when they start.
    pub(super) fn take_certificates_up(&mut self) {
        let pods: Vec<(String, String)> = self
            .pods
            .iter()
            .map(|(name, pod)| (name.clone(), pod.metadata.uid.clone().expect("a UID")))
            .collect();
        for (name, uid) in pods {
            let told = self.told(&name);
            let secret = self.secrets.get(&format!("{}-tls", name.trim_end_matches("-0"))).cloned();
            let now = self.now;
            // A kubelet looks at what a pod mounts whenever the pod changes.
            let annotations = self.pods[&name].metadata.annotations.as_ref();
            let told_to_show = annotations.and_then(|all| all.get(ANNOTATION_SHOWN)).cloned();
            let Some(process) = self.processes.get_mut(&uid) else { continue };
            process.tls = told;
            let shows = process.taken_up.certificates.get(SERVER.certificate).map(|shown| &shown.serial);
            let is_touched = told_to_show.is_some() && told_to_show.as_ref() != shows;
            let is_due = is_touched
                || process
                    .taken_up
                    .at
                    .is_none_or(|at| now.duration_since(at).as_secs() >= TAKEN_UP_AFTER_SECONDS);
            if let Some(secret) = secret.filter(|_| is_due && process.tls.is_some()) {
                let found = [SERVER, PEER_SERVER, PEER_CLIENT].into_iter().filter_map(|pair| {
                    let certificate = secret.certificate(pair.certificate)?;
                    let fits = secret.key(pair.key) == Some(&certificate.key);
                    fits.then(|| (pair.certificate, certificate.clone()))
                });
                process.taken_up = TakenUp { at: Some(now), certificates: found.collect() };
            }
        }
    }

    /// Whether two members reach each other by the URLs in the list, and accept each other's certificates.
    pub(super) fn understand_each_other(&self, one: &MemberName, other: &MemberName) -> bool {
        one == other || (self.reaches(one, other) && self.reaches(other, one))
    }

    fn reaches(&self, from: &MemberName, to: &MemberName) -> bool {
        let Some(url) = self.listed_url(to) else { return false };
        let process = |member: &MemberName| {
            let uid = self.pods.get(&member.pod())?.metadata.uid.clone()?;
            self.processes.get(&uid)
        };
        let (Some(asking), Some(asked)) = (process(from), process(to)) else { return false };
        let is_tls = url.starts_with(Scheme::Https.as_str());
        match (&asking.tls, &asked.tls) {
            (_, None) => !is_tls,
            (_, Some(tls)) if !is_tls => tls.serves == Serves::Both,
            (None, Some(_)) => false,
            (Some(asking_tls), Some(asked_tls)) => {
                self.accepts(asking_tls, asked.taken_up.certificates.get(PEER_SERVER.certificate))
                    && self.accepts(asked_tls, asking.taken_up.certificates.get(PEER_CLIENT.certificate))
            }
        }
    }

    fn accepts(&self, tls: &MemberTls, shown: Option<&CertificateFacts>) -> bool {
        shown.is_some_and(|shown| {
            let known = tls.authorities.peers.iter().filter_map(|pem| self.known(pem));
            shown.is_good_at(self.now)
                && known.into_iter().any(|known| Some(&known.key) == shown.signed_by.as_ref())
        })
    }

    fn listed_url(&self, member: &MemberName) -> Option<String> {
        let listed = self.etcd.iter().flat_map(|etcd| &etcd.members);
        let mut urls = listed.map(|one| one.listed.peer_urls[0].clone());
        urls.find(|url| self.member_of(url).as_ref() == Some(member))
    }

    /// Whether every voter that runs understands every other one.
    pub(crate) fn all_understand_each_other(&self) -> bool {
        let running: Vec<MemberName> = self.running_voters();
        running.iter().all(|one| running.iter().all(|other| self.understand_each_other(one, other)))
    }

    pub(super) fn running_voters(&self) -> Vec<MemberName> {
        let listed = self.etcd.iter().flat_map(|etcd| &etcd.members);
        let voters = listed.filter(|member| !member.listed.is_learner && self.runs(&member.listed));
        voters.filter_map(|member| self.member_of(&member.listed.peer_urls[0])).collect()
    }

    /// Whether every member serves TLS alone and is reached by it; or plain text alone, if TLS is not asked for.
    pub(crate) fn has_arrived(&self) -> bool {
        let wants_tls = self.cluster.spec.tls.is_some();
        let scheme = if wants_tls { Scheme::Https } else { Scheme::Http };
        let wanted = wants_tls.then_some(Serves::TlsAlone);
        let listed = self.etcd.iter().flat_map(|etcd| &etcd.members);
        listed.map(|one| &one.listed.peer_urls[0]).all(|url| {
            let serves =
                self.member_of(url).and_then(|member| self.told(&member.pod())).map(|tls| tls.serves);
            url.starts_with(&format!("{}://", scheme.as_str())) && serves == wanted
        })
    }

    pub(super) fn update_peer_url(
        &mut self,
        id: etcd_operator_core::names::MemberId,
        url: &str,
    ) -> Result<(), String> {
        let understood = self.all_understand_each_other();
        let etcd = self.etcd.as_mut().ok_or("no etcd")?;
        let has_learner = etcd.members.iter().any(|member| member.listed.is_learner);
        assert!(!has_learner || !self.is_strict, "a peer URL changes while a learner is there");
        let member = etcd.members.iter_mut().find(|one| one.listed.id == id).ok_or("no such member")?;
        member.listed.peer_urls = vec![url.to_owned()];
        let still = self.all_understand_each_other();
        assert!(!understood || still || !self.is_strict, "nobody reaches {url}");
        Ok(())
    }
}

fn put(secret: &mut SecretFacts, at: Pair, made: CertificateFacts) {
    secret.entries.insert(at.key.to_owned(), EntryFacts::Key(made.key.clone()));
    secret.entries.insert(at.certificate.to_owned(), EntryFacts::Certificates(vec![made]));
}
