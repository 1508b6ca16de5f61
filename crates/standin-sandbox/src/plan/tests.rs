//! What a plan says.

use super::*;

fn spec() -> Spec {
    Spec {
        command: vec!["/usr/bin/true".into()],
        environment: vec![("HOME".into(), "/home/u".into())],
        workspace: "/home/u/app".into(),
        workspace_layer: None,
        directory: "/home/u/app".into(),
        home: "/home/u".into(),
        read_only: vec!["/home/u/.cargo".into()],
        writable: vec![],
        caches: vec![],
        files: vec![InlineFile { path: "/run/standin/ca.pem".into(), contents: vec![1] }],
        overlays: vec![Overlay { directory: "/etc/ssl/certs".into(), files: vec![("a.crt".into(), vec![2])] }],
        masks: vec![MaskedFile { path: "/home/u/app/.env".into(), contents: vec![3], mode: 0o600 }],
        emptied: vec!["/home/u/app/private".into()],
        sockets: vec!["/home/u/app/server.sock".into()],
        watched: vec!["/home/u/app".into()],
        unmasked: vec!["/home/u/app/tests".into()],
        harmless: vec![(1, 2, (3, 4))],
        pinned: vec![],
        limits: Held { group: None, processes: None, tmp: 1 << 30 },
        nested: false,
    }
}

fn host() -> HostFacts {
    HostFacts {
        uid: 0,
        gid: 0,
        user: "root".into(),
        links: vec![("/bin".into(), "usr/bin".into())],
        system: vec!["/usr".into(), "/etc/ssl".into()],
        copies: vec!["/etc/ld.so.cache".into()],
        hidden: vec!["/etc/ssl/private".into()],
    }
}

#[test]
fn a_plan_reads_as_what_the_sandbox_sees() {
    let made = plan(spec(), &host());
    insta::assert_debug_snapshot!(made.view);
    insta::assert_debug_snapshot!(made.files);
    let masked: Vec<_> = made.masks.iter().map(|mask| (&mask.path, &made.blobs[mask.blob], mask.mode)).collect();
    assert_eq!(masked, [(&PathBuf::from("/home/u/app/.env"), &vec![3], 0o600)]);
}

#[test]
fn a_layered_workspace_is_nowhere_shown_writable() {
    let layer = Layer { upper: "/state/upper".into(), work: "/state/work".into() };
    let workspace = spec().workspace;
    // Asked for twice, it is still layered.
    let writable = vec![workspace.clone()];
    let made = plan(Spec { workspace_layer: Some(layer.clone()), writable, ..spec() }, &host());
    let there: Vec<_> = made
        .view
        .iter()
        .filter(|show| matches!(show, Show::Host { path, .. } | Show::Layered { path, .. } if *path == workspace))
        .collect();
    assert_eq!(there, [&Show::Layered { path: workspace, layer }]);
}

#[test]
fn namespaces_are_made_inside_only_where_nothing_is_guarded() {
    let layer = Layer { upper: "/state/upper".into(), work: "/state/work".into() };
    let copy = Spec { workspace_layer: Some(layer), nested: true, ..spec() };
    assert!(plan(copy.clone(), &host()).nested);
    assert!(!plan(Spec { writable: vec!["/srv/other".into()], ..copy.clone() }, &host()).nested);
    assert!(!plan(Spec { workspace_layer: None, ..copy }, &host()).nested);
}
