//! Three processes find, to the bit, what one finds: the example is a test that starts itself again as its workers.

#[path = "../../examples/distributed.rs"]
mod example;

fn main() {
    if let Err(why) = example::main() {
        panic!("{why}");
    }
}
