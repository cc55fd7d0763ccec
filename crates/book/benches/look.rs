//! How fast the session book answers: questions per second of one core, of books that grow. The cost of a question should
//! hardly grow with the book. `noroshi sessions bench` measures larger ones.

use std::sync::Arc;

use divan::counter::ItemsCount;
use noroshi_book::Book;
use noroshi_book::synth::{self, Questions, World};
use noroshi_law::Vault;

fn main() {
    divan::main();
}

const QUESTIONS: usize = 100_000;

/// The folder must live as long as the book.
fn book(sessions: u64) -> (tempfile::TempDir, Book, Questions) {
    let folder = tempfile::tempdir().expect("a folder");
    let (vault, world) = (Arc::new(Vault::new(&[3; 32])), World::new(7, sessions));
    synth::build(folder.path(), Arc::clone(&vault), &world, &|_| ()).expect("a book");
    let book = Book::open(folder.path(), vault).expect("a book");
    (folder, book, Questions::new(&world, QUESTIONS))
}

#[divan::bench(args = [10_000, 100_000, 1_000_000])]
fn one_by_one(bencher: divan::Bencher<'_, '_>, sessions: u64) {
    let (_folder, book, questions) = book(sessions);
    bencher.counter(ItemsCount::new(QUESTIONS)).bench_local(|| questions.one_by_one(&book));
}

#[divan::bench(args = [10_000, 100_000, 1_000_000])]
fn together(bencher: divan::Bencher<'_, '_>, sessions: u64) {
    let (_folder, book, questions) = book(sessions);
    bencher.counter(ItemsCount::new(QUESTIONS)).bench_local(|| questions.together(&book));
}
