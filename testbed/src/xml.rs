//! Reading and rewriting answers of moto.

use xmltree::{Element, XMLNode};

/// An answer as a tree; none if it is not XML.
pub(crate) fn parse(body: &[u8]) -> Option<Element> {
    Element::parse(body).ok()
}

pub(crate) fn write(root: &Element) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    root.write(&mut bytes).ok()?;
    Some(bytes)
}

pub(crate) fn elements(parent: &Element) -> impl Iterator<Item = &Element> {
    parent.children.iter().filter_map(XMLNode::as_element)
}

/// The first element of this name, at any depth.
pub(crate) fn find<'a>(root: &'a Element, name: &str) -> Option<&'a Element> {
    elements(root).find_map(|child| if child.name == name { Some(child) } else { find(child, name) })
}

pub(crate) fn find_mut<'a>(root: &'a mut Element, name: &str) -> Option<&'a mut Element> {
    root.children
        .iter_mut()
        .filter_map(XMLNode::as_mut_element)
        .find_map(|child| if child.name == name { Some(child) } else { find_mut(child, name) })
}

/// The members of the first list of this name.
pub(crate) fn items<'a>(root: &'a Element, list: &str) -> Vec<&'a Element> {
    find(root, list).map(|list| elements(list).collect()).unwrap_or_default()
}

/// The text of a child, or of a child's child (`a/b`); empty if there is none.
pub(crate) fn text(parent: &Element, path: &str) -> String {
    let mut here = parent;
    for name in path.split('/') {
        let Some(child) = here.get_child(name) else { return String::new() };
        here = child;
    }
    here.get_text().map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The texts of all elements of this name, at any depth.
pub(crate) fn texts(root: &Element, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(root, name, &mut found);
    found
}

fn collect(parent: &Element, name: &str, found: &mut Vec<String>) {
    for child in elements(parent) {
        if child.name == name {
            found.push(child.get_text().map(|text| text.trim().to_owned()).unwrap_or_default());
        }
        collect(child, name, found);
    }
}

/// A new element with a text.
pub(crate) fn leaf(name: &str, text: &str) -> XMLNode {
    let mut element = Element::new(name);
    element.children.push(XMLNode::Text(text.to_owned()));
    XMLNode::Element(element)
}
