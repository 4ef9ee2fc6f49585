//! Every reason for which something is held back, with what it means and what to do. Never decides.

use crate::explained::explained;

explained! {
    /// Why something is held back: the word in `.status.holds`, in conditions, in Events and in the metrics.
    HoldReason {
        BeingDeleted, Itself,
            "the cluster object is being deleted; its volumes are kept",
            "nothing";
        Forming, Itself,
            "the first members are starting",
            "if it lasts, read `members[].message` and correct the spec";
        WaitingForSilentMember, Itself,
            "a member does not answer, and is not considered lost yet, or cannot be, because its container never started",
            "read the message; if its volume is gone for good, delete the claim `data-MEMBER`";
        WaitingForCleanup, Itself,
            "objects of a removed member still exist",
            "if it lasts, look for a finalizer on them";
        WaitingForLearner, Itself,
            "a new member has not caught up, or does not start",
            "if it lasts, read the message";
        WaitingForHealth, Itself,
            "adding, promoting or removing a member waits until the others are healthy",
            "look at the members that it names";
        WaitingToRestart, Itself,
            "a pod that was made from an outdated template waits for its turn",
            "nothing, or what the message names";
        WaitingToUpdate, Itself,
            "a change of the spec waits for its turn at this member",
            "nothing, or what the message names";
        WaitingForSoak, Itself,
            "the member that was changed last must first be healthy for `rollout.soakSeconds`",
            "nothing";
        WaitingToReplace, Itself,
            "a member is to be replaced, because of its volume or by request, once all others are healthy and the last new one has been \
             healthy for `rollout.soakSeconds`",
            "nothing, or what the message names";
        WaitingForResize, Itself,
            "a volume was asked to grow, and its storage driver or its file system has not grown yet",
            "if it lasts, read the message and look at the claim; some drivers grow the file system only when the pod restarts";
        WaitingToMoveLeader, Itself,
            "the leadership was asked to move to a member that cannot lead now",
            "if it lasts, look at that member";
        WaitingToUpgrade, Itself,
            "a backup is taken before another version runs; or etcd has not decided yet that the cluster is of its members' minor; or \
             members write snapshots before they run etcd 3.7, because their logs may hold entries of 3.5 that 3.7 cannot read",
            "nothing";
        WaitingForDowngrade, Itself,
            "before members run an earlier minor, etcd brings the cluster down to it; that has not begun, or has not ended",
            "nothing, or what the message names";
        WaitingForRestore, Itself,
            "the first member is restored from a backup, by a Job, before anything starts",
            "nothing; if it lasts, read the message";
        WaitingForDeletion, Itself,
            "an object that the cluster needs is being deleted by somebody, and is created again once it is gone",
            "if it lasts, look for a finalizer on it";
        WaitingForPod, Itself,
            "a pod is still terminating, or Kubernetes has not said yet which template it was made from",
            "if it lasts, look at the pod's node";
        WaitingForServer, Itself,
            "the API server or etcd could not do it now; also, a disruption budget allows no eviction at the moment",
            "nothing; it is retried";
        InvalidSpec, Person,
            "the spec cannot be carried out; a cluster that has formed keeps running as it is, and is repaired as it was",
            "correct the field that the message names";
        UpgradeRefused, Person,
            "no single step leads from the versions that the members run to `version`; the members keep theirs",
            "set the versions that the message names, one after the other";
        BackupFailed, Person,
            "the version is not changed without a backup, because `spec.backup` says where backups are kept, and the backup failed",
            "read the message; mend what it says and delete the EtcdBackup, or take `spec.backup` away";
        RestoreFailed, Person,
            "the backup that the cluster is to begin with could not be restored; no member has started",
            "read the message, and correct `spec.bootstrap.restore` or what it names; it is tried again every two minutes";
        VolumesDoNotShrink, Person,
            "a cluster that has formed is asked for smaller volumes; Kubernetes cannot make a volume smaller",
            "set `storage.size` back";
        QuotaTooSmall, Person,
            "`etcd.quotaBackendBytes` is below 1.2 times the database, so etcd would stop accepting writes; the members keep theirs",
            "raise it, or compact and defragment first";
        OtherVersionInImage, Person,
            "a member answers with another version than the spec says, because of the image's tag or digest",
            "correct `version`, `image.tag` or `image.digest`";
        SuspendNotSupported, Person,
            "`suspend` is set; the members keep running",
            "unset it";
        FormingFails, Person,
            "the first members ended before they formed a cluster; each further attempt waits twice as long, five minutes at most",
            "correct what the message names; a changed spec is tried at once";
        RolloutStopped, Person,
            "the container of a changed member was restarted, so no other member is changed",
            "correct the spec, or set it back";
        QuorumUnknown, Person,
            "no linearizable read succeeds, so nothing is done that could cost data",
            "bring back nodes and volumes until a majority of the members runs; see [below](#quorumunknown)";
        ClusterIdMismatch, Person,
            "members answer for different clusters; no member is changed",
            "find out which volume each member has";
        UnknownMember, Person,
            "the member list has a member that the operator did not add; no member is changed",
            "`etcdctl member remove` it, if nobody needs it";
        QuorumAtRisk, Person,
            "a member should be removed, and removing it would break quorum",
            "bring back the other members that are not healthy";
        SeveralGatesRefuse, Person,
            "several members refuse to start on their disks, which has one common cause; none of them is replaced",
            "find the cause; if the data is gone for good, delete claim and pod of all of them but one, one at a time";
        GateRefuses, Person,
            "a member refuses to start on its disk: the data is not known to be its own (`foreign`), or its pod is fenced off (`fenced`)",
            "put the right volume back, or delete claim and pod to have the member replaced";
        ReplacementsFail, Person,
            "a member does not answer, and three replacements before it have failed",
            "find out why; to have it tried again, delete the claims that they left (`VolumeKept`)";
        AlarmRaised, Person,
            "etcd has raised an alarm; planned restarts wait, except for one that makes room in a full database",
            "`NOSPACE`: raise `etcd.quotaBackendBytes`, or compact and defragment; the operator disarms it once every database has room again. `CORRUPT`: nothing, the operator replaces that member and disarms it once the others have the same data; if it cannot, it says `DataDiffers`";
        DataDiffers, Person,
            "members' data differs at one revision, or etcd says so, and no majority of the voters has the same; nothing is changed or deleted",
            "find out whose data is right, and `etcdctl member remove` the others, one after the other; see [below](#datadiffers)";
        AuthenticationEnabled, Person,
            "etcd requires credentials, which the operator does not have; no member is added, removed or restarted",
            "`etcdctl auth disable`";
        VolumeConflict, Person,
            "a volume may hold somebody's data, and is neither used nor deleted; `Ready` does not wait for it",
            "look at it, and delete the claim if nobody needs it";
        NameTaken, Person,
            "a Service or disruption budget that is not this cluster's has a name that the cluster needs; it is left alone, and the rest goes on",
            "rename or delete it";
        RetainedVolumes, Person,
            "volumes of an earlier cluster of this name exist, and no cluster is formed",
            "delete the claims, or set `bootstrap.retainedVolumes` to `Leave` for a cluster beside them";
        AuthorityLost, Person,
            "the Secret with an authority that members trust is gone, damaged or another one; members run on, and nothing is made in its place",
            "put the Secret back as it was; or set the annotation `etcd.operators.rs/rotate-authorities` to any new word, which makes a next \
             authority and leads all members and clients to it";
        CertificateNotMade, Person,
            "a certificate is missing, damaged or expired, and no authority can sign another one",
            "see `AuthorityLost`";
        Refused, Person,
            "the API server refused a write, in its own words; whatever does not depend on it goes on",
            "change the quota, webhook, permission or field that it names; it is retried within 30 seconds";
        Overridden, Person,
            "the operator restored something several times in a row, and something, such as an admission webhook, undoes it each time",
            "make that leave the object alone; it is retried within 30 seconds";
        VolumeKept, Nobody,
            "the volume of a removed member that may have been healthy is kept until as many members vote as `size` asks for",
            "nothing";
        OthersClaim, Nobody,
            "an unused claim of another cluster object is passed over",
            "delete it, if nobody needs it";
        AuthorityRotates, Nobody,
            "an authority is on the way to its successor; the message says how far",
            "let applications read `ca.crt`, and later `tls.crt`, of the Secret `<cluster>-client-tls` anew before the time in the message";
        CertificateNotShown, Nobody,
            "a member's certificate was made anew, and it has not been seen to show it; the others keep theirs until it does",
            "nothing; if it lasts for minutes, see whether the member's node brings Secrets to its pods";
        BothServed, Nobody,
            "TLS has been switched on or off, and applications have `tls.trustPeriodSeconds` to follow: until then members serve TLS and plain text",
            "let applications speak what is to stay; then set the annotation `etcd.operators.rs/clients-ready` to the word in the message, or \
             wait";
        BesideRetainedVolumes, Nobody,
            "volumes of an earlier cluster of this name are left as they are",
            "delete the claims once nobody needs them";
    }
}
