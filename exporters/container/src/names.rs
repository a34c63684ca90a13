//! What the name of a cgroup says of the container in it. Only used where no process leads to the cgroup.

/// The id of a container whose cgroup has this path; `None` for slices, scopes of other things and monitors.
pub(crate) fn container_id(path: &[u8]) -> Option<&str> {
    let last = path.rsplit(|&b| b == b'/').next()?;
    let name = std::str::from_utf8(last).ok()?;
    let bare = name.strip_suffix(".scope").unwrap_or(name);
    let (runtime, id) = match bare.rsplit_once('-') {
        // cri-containerd has a dash of its own.
        Some((runtime, id)) => (Some(runtime), id),
        None => (None, bare),
    };
    if runtime.is_some_and(|r| r.ends_with("conmon")) || last.ends_with(b".slice") {
        return None;
    }
    if is_id(id) {
        return Some(id);
    }
    // nerdctl and ctr let the user choose ids: only the prefix tells.
    let chosen = name.strip_suffix(".scope")?.strip_prefix("nerdctl-")?;
    (!chosen.is_empty()).then_some(chosen)
}

/// 64 lower-case letters and digits, as cAdvisor has it.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

/// The container's own cgroup among `path` and its ancestors: a process may sit deeper (an init system inside, Podman's
/// `container` child). That is the topmost one whose name holds the id, else `path` itself.
pub(crate) fn own_cgroup<'p>(path: &'p [u8], id: &str) -> &'p [u8] {
    let mut end = 0;
    for part in path.split(|&b| b == b'/') {
        let start = end;
        end += part.len() + 1;
        if holds(part, id.as_bytes()) && !holds(part, b"conmon") {
            return &path[..start + part.len()];
        }
    }
    path
}

fn holds(part: &[u8], word: &[u8]) -> bool {
    !word.is_empty() && part.windows(word.len()).any(|w| w == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "7bbece62a4250b1a2d5a10c928cf2d2a1022599130dd484d2c7b56902bc8fd8e";

    #[test]
    fn names_of_all_runtimes_and_drivers() {
        for form in [
            "/docker/ID",
            "/parent/ID",
            "/system.slice/docker-ID.scope",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
            "/libpod_parent/libpod-ID",
            "/machine.slice/libpod-ID.scope",
            "/default/ID",
            "/system.slice/nerdctl-ID.scope",
            "/kubepods/burstable/pod2c48913c-b29f-11e7-9350-020968147796/ID",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2c48_b29f.slice/cri-containerd-ID.scope",
            "/kubepods.slice/kubepods-pod2c48_b29f.slice/crio-ID.scope",
            "/kubepods/pod2c48/crio-ID",
        ] {
            assert_eq!(container_id(form.replace("ID", ID).as_bytes()), Some(ID), "{form}");
        }
        assert_eq!(container_id(b"/system.slice/nerdctl-web.scope"), Some("web"));
        for form in [
            "/",
            "",
            "/docker",
            "/system.slice/ssh.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/kubepods/pod1/crio-conmon-ID",
            "/user.slice/user-1000.slice/session-3.scope",
            "/x/docker-ID.slice",
        ] {
            assert_eq!(container_id(form.replace("ID", ID).as_bytes()), None, "{form}");
        }
    }

    #[test]
    fn deeper_processes_belong_to_the_container() {
        for (path, own) in [
            ("/docker/ID", "/docker/ID"),
            ("/docker/ID/init.scope", "/docker/ID"),
            ("/machine.slice/libpod-ID.scope/container", "/machine.slice/libpod-ID.scope"),
            ("/elsewhere/deep", "/elsewhere/deep"),
            ("/", "/"),
        ] {
            let (path, own) = (path.replace("ID", ID), own.replace("ID", ID));
            assert_eq!(own_cgroup(path.as_bytes(), ID), own.as_bytes());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(path: Vec<u8>, id in ".{0,8}") {
            container_id(&path);
            prop_assert!(path.starts_with(own_cgroup(&path, &id)));
        }
    }
}
