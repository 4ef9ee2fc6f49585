//! Why a backup or a schedule is what it is, each reason with its explanation. Never decides.

use crate::explained::explained;

explained! {
    /// Why the condition of an `EtcdBackup` or `EtcdBackupSchedule` is what it is.
    BackupReason {
        ClusterMissing, Person,
            "there is no EtcdCluster of that name in the namespace",
            "create it, or name another one";
        ClusterForming, Itself,
            "the cluster has not formed yet, so there is nothing to back up",
            "if it lasts, see the cluster's own status";
        StoreMissing, Person,
            "neither the object nor the cluster says where backups are kept",
            "set `spec.store` here, or `spec.backup.store` of the cluster";
        SpecInvalid, Person,
            "the spec cannot be carried out",
            "read the message, and correct the spec";
        NameTaken, Person,
            "somebody else's Job or CronJob has this name",
            "delete it, or give the backup or schedule another name";
        RequestRefused, Person,
            "the API server refuses the Job or CronJob: by a quota, a webhook, validation or rights",
            "read the message: it is the server's own; what was refused is tried again";
        Undone, Person,
            "what the operator sets in the CronJob is undone each time",
            "read the message, and make whoever undoes it leave the CronJob alone; it is tried again every minute";
        Starting, Itself,
            "the Job's pod is being started",
            "if it lasts, read the message: it says what keeps the pod from starting";
        Running, Itself,
            "the backup is being taken",
            "nothing";
        TryingAgain, Itself,
            "an attempt failed, and another one follows: three are made",
            "read the message; if the store refuses, or users are in force, correct that";
        Stored, Nobody,
            "the backup is in the store",
            "nothing";
        AttemptsFailed, Person,
            "the backup was given up",
            "read the message, mend what it says, and create another EtcdBackup";
        ResultLost, Person,
            "the Job is over, and what it found is gone with its pod",
            "`etcd-operator list` shows what is in the store; create another EtcdBackup";
        Restored, Nobody,
            "it was restored into an etcd of its own, which had the cluster's data",
            "nothing";
        NotRestored, Nobody,
            "it was not restored, as the spec asks (`prove: false`)",
            "`etcd-operator verify` proves a backup that is there";
        NotStored, Itself,
            "there is no backup that could be proved yet",
            "nothing";
        Deleting, Itself,
            "the object was deleted, and by its `deletionPolicy` the backup is being deleted from the store first",
            "if it lasts, read the message";
        DeletionFailed, Person,
            "the backup could not be deleted from the store; it is tried again every five minutes",
            "read the message, and mend what it says; or set `spec.deletionPolicy: Retain`, which lets the object go and leaves the backup where it is";
        Scheduled, Nobody,
            "backups are taken as the schedule says",
            "nothing";
        Suspended, Nobody,
            "no backups are taken, as the spec asks",
            "set `spec.suspend` to false";
        LastFailed, Person,
            "the last backup of the schedule was given up",
            "read the message, and mend what it says; the next one is taken at its time";
        ProvedLately, Nobody,
            "the newest proved backup is young enough",
            "nothing";
        ProvedTooLongAgo, Person,
            "the newest proved backup is older than `spec.backup.maximumAgeSeconds`",
            "look at the EtcdBackups and EtcdBackupSchedules of the cluster: `kubectl get etcdbackup,etcdbackupschedule`";
        NoStoreDeclared, Person,
            "the version is being changed without a backup, because the spec says nothing of backups",
            "set `spec.backup.store`, and versions change only once a backup has been proved";
        NeverProved, Person,
            "no backup of this cluster has ever been proved",
            "create an EtcdBackup, or an EtcdBackupSchedule";
    }
}
