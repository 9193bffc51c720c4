//! Interfaces that outlive their instance: what tagwire attached to them comes off, and nothing else does.

use tagwire_core::{id::InterfaceId, state::Target};

use crate::{
    installation::Installation,
    simulated::{cluster, sg, vpc},
};

/// An instance that is connected, with another that stays.
fn installation() -> Installation {
    let installation = Installation::new(|world| {
        world.store("orders", &vpc("1"), Some("orders"));
        world.launch("1", &vpc("1"), Some("orders"));
        world.launch("2", &vpc("1"), Some("orders"));
    });
    installation.swept();
    installation.assert_converged();
    installation
}

fn has_of_ours(installation: &Installation, interface: &InterfaceId) -> bool {
    let ours = installation
        .look(|world| world.ours().into_values().flatten().map(|group| group.id.clone()).collect::<Vec<_>>());
    installation.look(|world| ours.iter().any(|group| world.list_of(interface.as_str()).contains(group)))
}

fn is_noted(installation: &Installation, interface: &InterfaceId) -> bool {
    let target = Target::Interface(interface.clone());
    installation.look(|world| world.table[&vpc("1")].attached.keys().any(|(of, _)| *of == target))
}

/// The instance is terminated and its interface is not.
fn left(installation: &Installation) -> InterfaceId {
    let interface = installation.cloud.world.borrow_mut().terminate_without_interface("1");
    assert!(has_of_ours(installation, &interface) && is_noted(installation, &interface));
    interface
}

#[test]
fn what_tagwire_attached_comes_off_with_the_next_sweep_and_what_others_attached_stays() {
    let installation = installation();
    let interface = left(&installation);
    let others = installation.look(|world| world.list_of(interface.as_str()).len()) - 1;
    installation.next_sweep();
    assert!(!has_of_ours(&installation, &interface) && !is_noted(&installation, &interface));
    assert_eq!(installation.look(|world| world.list_of(interface.as_str()).len()), others);
    assert_eq!(installation.look(|world| world.cuts.len()), 1, "it is counted");
    installation.assert_converged();
}

#[test]
fn it_does_not_keep_a_pair_whose_store_is_gone() {
    let installation = installation();
    let interface = left(&installation);
    installation.change(|world| world.delete_store("orders"));
    installation.next_sweep();
    assert!(!has_of_ours(&installation, &interface));
    assert_eq!(installation.look(|world| world.ours().len()), 0);
    installation.assert_converged();
}

#[test]
fn without_a_record_of_it_the_interface_is_somebody_else_s() {
    let installation = installation();
    let interface = left(&installation);
    installation.change(|world| world.table.clear());
    installation.next_sweep();
    assert!(has_of_ours(&installation, &interface));
    let ran = installation.connect(&[installation.whole(&vpc("1"))]);
    assert!(ran.codes("finding").contains(&"foreign-attachment"), "{:#?}", ran.log);
    installation.assert_converged();
}

#[test]
fn while_it_is_the_only_group_there_it_stays_and_goes_when_another_comes() {
    let installation = installation();
    let interface = left(&installation);
    let web = sg("web");
    installation.change(|world| world.they_leave(&interface));
    installation.next_sweep();
    assert!(has_of_ours(&installation, &interface) && is_noted(&installation, &interface));
    installation.assert_converged();
    installation.change(|world| world.others.get_mut(&interface).unwrap().2.extend([web.clone()]));
    installation.next_sweep();
    assert!(!has_of_ours(&installation, &interface));
    installation.assert_converged();
}

#[test]
fn a_hold_on_its_store_keeps_it() {
    let installation = installation();
    let interface = left(&installation);
    installation.change(|world| world.settings_of_store("orders").held = true);
    installation.next_sweep();
    assert!(has_of_ours(&installation, &interface) && is_noted(&installation, &interface));
    installation.assert_converged();
    installation.change(|world| world.settings_of_store("orders").held = false);
    installation.deliver(&[installation.tagged(cluster("orders").as_str())]);
    assert!(has_of_ours(&installation, &interface), "only a look at everything knows what was attached there");
    installation.next_sweep();
    assert!(!has_of_ours(&installation, &interface));
    installation.assert_converged();
}
