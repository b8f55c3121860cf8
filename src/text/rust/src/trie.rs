//! Strings by their bytes, for the search of many needles in one text.

/// A set of strings, each with a value.
pub struct Trie<T> {
    nodes: Vec<Node<T>>,
}

struct Node<T> {
    children: Vec<(u8, usize)>, // ascending bytes
    value: Option<T>,
}

impl<T> Node<T> {
    fn new() -> Node<T> {
        Node { children: Vec::new(), value: None }
    }
}

impl<T> Trie<T> {
    pub fn new(entries: impl IntoIterator<Item = (String, T)>) -> Trie<T> {
        let mut trie = Trie { nodes: vec![Node::new()] };
        for (key, value) in entries {
            let mut node = 0;
            for byte in key.bytes() {
                node = trie.child_or_new(node, byte);
            }
            trie.nodes[node].value = Some(value);
        }
        trie
    }

    fn child_or_new(&mut self, node: usize, byte: u8) -> usize {
        match self.nodes[node].children.binary_search_by_key(&byte, |child| child.0) {
            Ok(found) => self.nodes[node].children[found].1,
            Err(place) => {
                let child = self.nodes.len();
                self.nodes.push(Node::new());
                self.nodes[node].children.insert(place, (byte, child));
                child
            }
        }
    }

    fn child(&self, node: usize, byte: u8) -> Option<usize> {
        let children = &self.nodes[node].children;
        children.binary_search_by_key(&byte, |child| child.0).ok().map(|found| children[found].1)
    }

    /// The strings of the set that `text` begins with, as (length, value), shortest first.
    pub fn matches<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, &'a T)> + 'a {
        let mut node = Some(0);
        (0..=text.len())
            .map_while(move |len| {
                let here = node?;
                node = text.get(len).and_then(|&byte| self.child(here, byte));
                Some((len, self.nodes[here].value.as_ref()))
            })
            .filter_map(|(len, value)| value.map(|value| (len, value)))
    }

    /// How many bytes `text` has in common with the beginning of some string of the set.
    pub fn common_prefix_len(&self, text: &[u8]) -> usize {
        let mut node = 0;
        for (len, &byte) in text.iter().enumerate() {
            match self.child(node, byte) {
                Some(next) => node = next,
                None => return len,
            }
        }
        text.len()
    }
}
