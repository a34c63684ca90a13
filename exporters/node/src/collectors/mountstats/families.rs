//! The families of an NFS mount.

use exporter::Desc;

pub(super) const AGE: Desc =
    Desc::counter("node_mountstats_nfs_age_seconds_total", "The age of the NFS mount in seconds.");
pub(super) const MOUNT_POINT: Desc =
    Desc::gauge("node_mountstats_nfs_mountpoint_info", "Info metric for an NFS mountpoint.");

/// The numbers of `bytes:`.
pub(super) const BYTES: [Desc; 8] = [
    Desc::counter("node_mountstats_nfs_read_bytes_total", "Number of bytes read using the read() syscall."),
    Desc::counter("node_mountstats_nfs_write_bytes_total", "Number of bytes written using the write() syscall."),
    Desc::counter(
        "node_mountstats_nfs_direct_read_bytes_total",
        "Number of bytes read using the read() syscall in O_DIRECT mode.",
    ),
    Desc::counter(
        "node_mountstats_nfs_direct_write_bytes_total",
        "Number of bytes written using the write() syscall in O_DIRECT mode.",
    ),
    Desc::counter("node_mountstats_nfs_total_read_bytes_total", "Number of bytes read from the NFS server, in total."),
    Desc::counter(
        "node_mountstats_nfs_total_write_bytes_total",
        "Number of bytes written to the NFS server, in total.",
    ),
    Desc::counter("node_mountstats_nfs_read_pages_total", "Number of pages read directly via mmap()'d files."),
    Desc::counter("node_mountstats_nfs_write_pages_total", "Number of pages written directly via mmap()'d files."),
];

/// The numbers of `events:`, by their place in the line.
pub(super) const EVENTS: [(usize, Desc); 26] = [
    (
        0,
        Desc::counter(
            "node_mountstats_nfs_event_inode_revalidate_total",
            "Number of times cached inode attributes are re-validated from the server.",
        ),
    ),
    (
        1,
        Desc::counter(
            "node_mountstats_nfs_event_dnode_revalidate_total",
            "Number of times cached dentry nodes are re-validated from the server.",
        ),
    ),
    (2, Desc::counter("node_mountstats_nfs_event_data_invalidate_total", "Number of times an inode cache is cleared.")),
    (
        3,
        Desc::counter(
            "node_mountstats_nfs_event_attribute_invalidate_total",
            "Number of times cached inode attributes are invalidated.",
        ),
    ),
    (
        4,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_open_total",
            "Number of times cached inode attributes are invalidated.",
        ),
    ),
    (
        5,
        Desc::counter("node_mountstats_nfs_event_vfs_lookup_total", "Number of times a directory lookup has occurred."),
    ),
    (6, Desc::counter("node_mountstats_nfs_event_vfs_access_total", "Number of times permissions have been checked.")),
    (
        7,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_update_page_total",
            "Number of updates (and potential writes) to pages.",
        ),
    ),
    (
        8,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_read_page_total",
            "Number of pages read directly via mmap()'d files.",
        ),
    ),
    (
        9,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_read_pages_total",
            "Number of times a group of pages have been read.",
        ),
    ),
    (
        10,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_write_page_total",
            "Number of pages written directly via mmap()'d files.",
        ),
    ),
    (
        11,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_write_pages_total",
            "Number of times a group of pages have been written.",
        ),
    ),
    (
        12,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_getdents_total",
            "Number of times directory entries have been read with getdents().",
        ),
    ),
    (
        13,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_setattr_total",
            "Number of times directory entries have been read with getdents().",
        ),
    ),
    (
        14,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_flush_total",
            "Number of pending writes that have been forcefully flushed to the server.",
        ),
    ),
    (
        15,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_fsync_total",
            "Number of times fsync() has been called on directories and files.",
        ),
    ),
    (
        16,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_lock_total",
            "Number of times locking has been attempted on a file.",
        ),
    ),
    (
        17,
        Desc::counter(
            "node_mountstats_nfs_event_vfs_file_release_total",
            "Number of times files have been closed and released.",
        ),
    ),
    (19, Desc::counter("node_mountstats_nfs_event_truncation_total", "Number of times files have been truncated.")),
    (
        20,
        Desc::counter(
            "node_mountstats_nfs_event_write_extension_total",
            "Number of times a file has been grown due to writes beyond its existing end.",
        ),
    ),
    (
        21,
        Desc::counter(
            "node_mountstats_nfs_event_silly_rename_total",
            "Number of times a file was removed while still open by another process.",
        ),
    ),
    (
        22,
        Desc::counter(
            "node_mountstats_nfs_event_short_read_total",
            "Number of times the NFS server gave less data than expected while reading.",
        ),
    ),
    (
        23,
        Desc::counter(
            "node_mountstats_nfs_event_short_write_total",
            "Number of times the NFS server wrote less data than expected while writing.",
        ),
    ),
    (
        24,
        Desc::counter(
            "node_mountstats_nfs_event_jukebox_delay_total",
            "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage.",
        ),
    ),
    (25, Desc::counter("node_mountstats_nfs_event_pnfs_read_total", "Number of NFS v4.1+ pNFS reads.")),
    (26, Desc::counter("node_mountstats_nfs_event_pnfs_write_total", "Number of NFS v4.1+ pNFS writes.")),
];

/// The numbers of `xprt: tcp`, by their place in the line.
pub(super) const TRANSPORT: [(usize, Desc); 10] = [
    (
        1,
        Desc::counter(
            "node_mountstats_nfs_transport_bind_total",
            "Number of times the client has had to establish a connection from scratch to the NFS server.",
        ),
    ),
    (
        2,
        Desc::counter(
            "node_mountstats_nfs_transport_connect_total",
            "Number of times the client has made a TCP connection to the NFS server.",
        ),
    ),
    (
        4,
        Desc::gauge(
            "node_mountstats_nfs_transport_idle_time_seconds",
            "Duration since the NFS mount last saw any RPC traffic, in seconds.",
        ),
    ),
    (
        5,
        Desc::counter(
            "node_mountstats_nfs_transport_sends_total",
            "Number of RPC requests for this mount sent to the NFS server.",
        ),
    ),
    (
        6,
        Desc::counter(
            "node_mountstats_nfs_transport_receives_total",
            "Number of RPC responses for this mount received from the NFS server.",
        ),
    ),
    (
        7,
        Desc::counter(
            "node_mountstats_nfs_transport_bad_transaction_ids_total",
            "Number of times the NFS server sent a response with a transaction ID unknown to this client.",
        ),
    ),
    (
        9,
        Desc::counter(
            "node_mountstats_nfs_transport_backlog_queue_total",
            "Total number of items added to the RPC backlog queue.",
        ),
    ),
    (
        10,
        Desc::gauge(
            "node_mountstats_nfs_transport_maximum_rpc_slots",
            "Maximum number of simultaneously active RPC requests ever used.",
        ),
    ),
    (
        11,
        Desc::counter(
            "node_mountstats_nfs_transport_sending_queue_total",
            "Total number of items added to the RPC transmission sending queue.",
        ),
    ),
    (
        12,
        Desc::counter(
            "node_mountstats_nfs_transport_pending_queue_total",
            "Total number of items added to the RPC transmission pending queue.",
        ),
    ),
];

/// The first numbers of an operation.
pub(super) const OPERATION_COUNTS: [Desc; 5] = [
    Desc::counter(
        "node_mountstats_nfs_operations_requests_total",
        "Number of requests performed for a given operation.",
    ),
    Desc::counter(
        "node_mountstats_nfs_operations_transmissions_total",
        "Number of times an actual RPC request has been transmitted for a given operation.",
    ),
    Desc::counter(
        "node_mountstats_nfs_operations_major_timeouts_total",
        "Number of times a request has had a major timeout for a given operation.",
    ),
    Desc::counter(
        "node_mountstats_nfs_operations_sent_bytes_total",
        "Number of bytes sent for a given operation, including RPC headers and payload.",
    ),
    Desc::counter(
        "node_mountstats_nfs_operations_received_bytes_total",
        "Number of bytes received for a given operation, including RPC headers and payload.",
    ),
];

/// The numbers of an operation that follow, in milliseconds.
pub(super) const OPERATION_TIMES: [Desc; 3] = [
    Desc::counter(
        "node_mountstats_nfs_operations_queue_time_seconds_total",
        "Duration all requests spent queued for transmission for a given operation before they were sent, in seconds.",
    ),
    Desc::counter(
        "node_mountstats_nfs_operations_response_time_seconds_total",
        "Duration all requests took to get a reply back after a request for a given operation was transmitted, in seconds.",
    ),
    Desc::counter(
        "node_mountstats_nfs_operations_request_time_seconds_total",
        "Duration all requests took from when a request was enqueued to when it was completely handled for a given operation, in seconds.",
    ),
];
