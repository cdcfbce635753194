//! The watch of interfaces, where more happens than the kernel keeps for who does not look.

use std::time::Duration;

use flowsift::capture::{InterfaceWatch, list};

use crate::namespace::{batch, inside, veth};

/// All that there is to be read; then what is known must be what there is.
fn settle(watch: &mut InterfaceWatch) {
    while !watch.wait(Duration::ZERO).unwrap().is_empty() {}
    let names = |all: Vec<_>| all.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    let known = watch.interfaces().map(|it| (it.index, it.name.clone()));
    let listed = list().unwrap().into_iter().map(|it| (it.index, it.name));
    assert_eq!(names(known.collect()), names(listed.collect()));
}

#[test]
fn what_was_lost_is_not_undone_by_what_came_before() {
    if !inside() {
        return;
    }
    veth("fs0", "fs1", 1500);
    let mut watch = InterfaceWatch::new().unwrap();
    settle(&mut watch);
    // More messages than the socket has room for, the last of them that both are gone; the second
    // time shows whether the kernel says again that it lost some.
    for _ in 0..2 {
        let mut flood = "link set fs1 down\nlink set fs1 up\n".repeat(500);
        flood.push_str("link delete fs0\n");
        batch(&flood);
        settle(&mut watch);
        veth("fs0", "fs1", 1500);
        settle(&mut watch);
    }
}
