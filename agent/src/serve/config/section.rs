//! A section of the configuration: one place for a key's name, meaning, type and default.

/// A section as its documentation has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Its name in the file.
    pub(super) name: &'static str,
    /// What it is about: lines.
    pub(super) about: &'static [&'static str],
    /// Its keys.
    pub(super) keys: &'static [Key],
}

/// A key as its documentation has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its name.
    pub(super) name: &'static str,
    /// What it means: lines.
    pub(super) docs: &'static [&'static str],
    /// Its default, or an example, as the file has it.
    pub(super) text: &'static str,
    /// Whether the text is the default.
    pub(super) has_default: bool,
    /// Whether a change counts at once when the file is read again; else only after a restart.
    pub(super) live: bool,
}

/// Declares a section: `KEY: TYPE = default(VALUE, TEXT) WHEN`, or `unset(EXAMPLE)`
/// (of a list, `unset_list`); `WHEN` is `live` where a change counts at once, or `restart`.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        $Name:ident as $name:literal {
            $(
                $(#[doc = $doc:literal])*
                $key:ident: $Type:ty = $kind:ident($($value:expr),+) $when:ident,
            )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $Name {
            $(
                $(#[doc = $doc])*
                pub $key: $Type,
            )*
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($key: section!(@value $kind($($value),+)),)* }
            }
        }

        impl $Name {
            pub(super) const SECTION: $crate::serve::config::section::Section =
                $crate::serve::config::section::Section {
                    name: $name,
                    about: &[$($about),*],
                    keys: Self::KEYS,
                };

            const KEYS: &'static [$crate::serve::config::section::Key] = &[
                $(
                    $crate::serve::config::section::Key {
                        name: stringify!($key),
                        docs: &[$($doc),*],
                        text: section!(@text $kind($($value),+)),
                        has_default: section!(@is_default $kind),
                        live: section!(@is_live $when),
                    },
                )*
            ];

            /// The keys that `new` has otherwise.
            pub(super) fn differing(
                &self,
                new: &Self,
            ) -> Vec<&'static $crate::serve::config::section::Key> {
                let differs = [$(self.$key != new.$key),*];
                let keys = Self::KEYS.iter().zip(differs);
                keys.filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
            }

            /// Takes over from `new` what counts at once.
            pub(super) fn adopt(&mut self, new: &Self) {
                $(section!(@adopt $when self.$key, new.$key);)*
            }
        }
    };
    (@value default($value:expr, $text:expr)) => { $value };
    (@value unset($text:expr)) => { None };
    (@value unset_list($text:expr)) => { Vec::new() };
    (@text default($value:expr, $text:expr)) => { $text };
    (@text unset($text:expr)) => { $text };
    (@text unset_list($text:expr)) => { $text };
    (@is_default default) => { true };
    (@is_default unset) => { false };
    (@is_default unset_list) => { false };
    (@adopt live $old:expr, $new:expr) => { $old.clone_from(&$new) };
    (@adopt restart $old:expr, $new:expr) => { { let _ = (&$old, &$new); } };
    (@is_live live) => { true };
    (@is_live restart) => { false };
}

pub(super) use section;
