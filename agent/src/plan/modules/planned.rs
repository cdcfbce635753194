//! Modules that the language has and flowsift does not run yet: known by name, flags and purpose.

use super::super::arguments::Args;
use super::super::pipeline::Renderer;
use super::super::registry::{Availability, FlagSpec, ModuleSpec, flag, valued};
use super::super::report::Outcome;
use super::super::scope::Scope;
use crate::lang::ast::Spanned;

/// Reads nothing: what the stage makes is taken for granted from here on.
fn stage(_: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    scope.opaque = true;
    Ok(())
}

/// The same for modules whose arguments are fields of values: 'DstIP.Country'.
fn enrichment(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    while !args.is_empty() {
        if let Some(word) = args.take_word() {
            if let Some((value, _)) = word.value.split_once('.') {
                let value = value.to_owned();
                scope.lookup(&Spanned {
                    value,
                    span: word.span,
                });
            }
        } else {
            args.next();
        }
    }
    stage(args, scope)
}

fn lookup(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    if args.has("-strict") {
        scope.warn_hint(
            args.name.span,
            "lookup -strict is the older form",
            "write -s",
        );
    }
    stage(args, scope)
}

/// Stands where a renderer is checked and not run.
fn renderer(_: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let time = scope.time();
    scope.renderer = Some(Renderer::Table {
        columns: vec![time],
        merge: None,
        condensed: false,
    });
    Ok(())
}

const fn planned(
    name: &'static str,
    summary: &'static str,
    syntax: &'static [&'static str],
    flags: &'static [FlagSpec],
    makes: &'static str,
    example: &'static str,
) -> ModuleSpec {
    ModuleSpec {
        availability: Availability::Planned,
        summary,
        syntax,
        flags,
        reads: "DATA or the values named",
        makes,
        example,
        ..ModuleSpec::stage(name, stage)
    }
}

const fn planned_renderer(
    name: &'static str,
    summary: &'static str,
    syntax: &'static [&'static str],
    flags: &'static [FlagSpec],
    example: &'static str,
) -> ModuleSpec {
    ModuleSpec {
        availability: Availability::Planned,
        summary,
        syntax,
        flags,
        reads: "the values named",
        makes: "nothing",
        example,
        ..ModuleSpec::renderer(name, renderer)
    }
}

const E: FlagSpec = valued("-e", "a value", "read this value instead of DATA");
const S: FlagSpec = flag("-s", "drop entries for which something is missing");
const V: FlagSpec = flag("-v", "keep what would be dropped, drop what would be kept");
const P: FlagSpec = flag("-p", "let entries through that do not match");
const OR: FlagSpec = flag("-or", "one match is enough");
const R: FlagSpec = valued("-r", "a name", "resource, or @inner query");
const T: FlagSpec = valued("-t", "a name", "name of the value made");
const EXTRACT: &[FlagSpec] = &[E, S];

pub(super) static PACKETLAYER: ModuleSpec = planned(
    "packetlayer",
    "read one layer out of a value, without its parents",
    &["packetlayer [-e EV] [-m] PROTO.FIELD [OP VALUE] [as NAME]..."],
    &[E, flag("-m", "one entry per further message of the layer")],
    "a value per field",
    "tag=pcap packet tcp.Port==502 tcp.Payload | packetlayer -e Payload modbus.Unit | table Unit",
);
pub(super) static GROK: ModuleSpec = planned(
    "grok",
    "named patterns",
    &["grok [-p] [-e EV] \"PATTERN\""],
    &[E, P],
    "the names of the pattern",
    "tag=syslog grok \"%{IP:host}\" | table host",
);
pub(super) static ENRICH: ModuleSpec = planned(
    "enrich",
    "add constants",
    &["enrich NAME VALUE...", "enrich -r RESOURCE [COLUMN...]"],
    &[R, flag("-o", "overwrite")],
    "the names given",
    "tag=pcap enrich site berlin | table site",
);
pub(super) static LOOKUP: ModuleSpec = ModuleSpec {
    resolve: lookup,
    ..planned(
        "lookup",
        "look values up in a table",
        &["lookup [-s] [-v] -r RESOURCE EV COLUMN (OUT [as NAME]...)"],
        &[R, S, V, flag("-strict", "older form of -s")],
        "the columns named",
        "tag=pcap packet ipv4.SrcIP | lookup -r hosts SrcIP ip hostname | table SrcIP hostname",
    )
};
pub(super) static IPLOOKUP: ModuleSpec = planned(
    "iplookup",
    "look addresses up in a table of networks",
    &["iplookup -r RESOURCE -e EV [-cidr COLUMN] [OUT [as NAME]]..."],
    &[
        R,
        S,
        V,
        E,
        valued("-cidr", "a column", "column of networks"),
        valued("-ip", "a column", "column of addresses"),
        valued("-subnet", "a column", "column of masks"),
    ],
    "the columns named",
    "tag=pcap packet ipv4.SrcIP | iplookup -r sites -e SrcIP name | table SrcIP name",
);
pub(super) static IPEXIST: ModuleSpec = planned(
    "ipexist",
    "keep entries whose addresses are in a set",
    &["ipexist [-or] [-v] -r RESOURCE... EV..."],
    &[R, V, OR],
    "nothing",
    "tag=pcap packet ipv4.SrcIP | ipexist -r ips SrcIP | table SrcIP",
);
pub(super) static GEOIP: ModuleSpec = ModuleSpec {
    resolve: enrichment,
    ..planned(
        "geoip",
        "country, city, place or network operator of an address",
        &["geoip [-r DATABASE] [-s] EV.FIELD [OP VALUE] [as NAME]..."],
        &[R, S],
        "a value per field",
        "tag=pcap packet ipv4.DstIP | geoip DstIP.Country | count by Country | table",
    )
};
pub(super) static MACLOOKUP: ModuleSpec = ModuleSpec {
    resolve: enrichment,
    ..planned(
        "maclookup",
        "manufacturer of a network card",
        &["maclookup [-r DATABASE] [-s] EV.Manufacturer|Address|Country [OP VALUE] [as NAME]..."],
        &[R, S],
        "a value per field",
        "tag=pcap packet eth.MAC | maclookup MAC.Manufacturer | table MAC Manufacturer",
    )
};
pub(super) static FUSE: ModuleSpec = planned(
    "fuse",
    "copy values to later entries with the same key",
    &["fuse KEY VALUE", "fuse [KEY...] (VALUE...)"],
    &[
        flag("-pushpop", "use each stored value once"),
        valued("-maxtracked", "a number of keys", "keys to remember"),
        valued("-maxsize", "megabytes", "memory to use"),
    ],
    "the values named",
    "tag=pcap sort by time asc | packet eth.SrcMAC ipv4.SrcIP | fuse SrcMAC SrcIP | table",
);
pub(super) static TRANSACTION: ModuleSpec = planned(
    "transaction",
    "join entries with the same keys into one",
    &["transaction [-e EV]... [-o NAME] [-c NAME] KEY..."],
    &[
        E,
        valued("-rsep", "a text", "between records"),
        valued("-fsep", "a text", "between fields"),
        valued("-o", "a name", "name of the text"),
        valued("-c", "a name", "name of the number of entries"),
        valued("-maxsize", "kilobytes", "largest text"),
        valued("-maxstate", "megabytes", "memory to use"),
        valued("-maxcount", "a number", "entries of a text"),
    ],
    "transaction, count",
    "tag=pcap packet tcp.Payload ipv4.SrcIP | transaction -e Payload SrcIP | table",
);
pub(super) static COMMUNITYID: ModuleSpec = planned(
    "communityid",
    "community id of a flow",
    &["communityid SRC DST [SRCPORT DSTPORT] PROTOCOL"],
    &[],
    "cid",
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP ipv4.Protocol | communityid SrcIP DstIP Protocol | table",
);
pub(super) static STRINGS: ModuleSpec = planned(
    "strings",
    "runs of printable characters",
    &["strings [-t NAME] [-n 6] [EV]"],
    &[T, valued("-n", "a number", "shortest run")],
    "the name given",
    "tag=pcap packet tcp.Payload | strings Payload | table Payload",
);
pub(super) static BASE64: ModuleSpec = planned(
    "base64",
    "encode or decode base64",
    &["base64 [-d] [-raw] [-u] [-s] [-t NAME] EV"],
    &[
        T,
        S,
        flag("-d", "decode"),
        flag("-raw", "without padding"),
        flag("-u", "the alphabet for addresses"),
    ],
    "the name given",
    "tag=pcap packet tcp.Payload | base64 -t text Payload | table text",
);
pub(super) static SPLIT: ModuleSpec = planned(
    "split",
    "several entries of one",
    &["split [-d SEPARATOR] EV"],
    &[valued("-d", "a separator", "between the parts"), E],
    "the value anew",
    "tag=pcap packet tcp.Payload | split -d \"\\n\" Payload | table Payload",
);
pub(super) static CSV: ModuleSpec = planned(
    "csv",
    "columns of comma-separated text",
    &["csv [-e EV] [-s] [INDEX] [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per column",
    "tag=apps csv [2] as user | table user",
);
pub(super) static JSON: ModuleSpec = planned(
    "json",
    "members of JSON text",
    &["json [-e EV] [-s] [-x EV] PATH [OP VALUE] [as NAME]..."],
    &[E, S, valued("-x", "a member", "one entry per element")],
    "a value per path",
    "tag=pcap packet tcp.Payload | json -e Payload user.email | table email",
);
pub(super) static KV: ModuleSpec = planned(
    "kv",
    "key=value text",
    &["kv [-e EV] [-s] [-sep SEPARATOR] [-d DELIMITERS] [-q] KEY [OP VALUE] [as NAME]..."],
    &[
        E,
        S,
        valued("-sep", "a text", "between key and value"),
        valued("-d", "characters", "between pairs"),
        flag("-q", "values may be quoted"),
    ],
    "a value per key",
    "tag=fw kv src dst | table src dst",
);
pub(super) static FIELDS: ModuleSpec = planned(
    "fields",
    "columns of separated text",
    &["fields [-e EV] [-s] [-d SEPARATOR] [INDEX] [OP VALUE] [as NAME]..."],
    &[
        E,
        S,
        valued("-d", "a separator", "between the columns"),
        flag("-q", "columns may be quoted"),
        flag("-clean", "without quotes"),
    ],
    "a value per column",
    "tag=pcap packet tcp.Payload | fields -e Payload -d \" \" [1] as path | table path",
);
pub(super) static XML: ModuleSpec = planned(
    "xml",
    "elements of XML text",
    &["xml [-e EV] [-s] PATH [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per path",
    "tag=apps xml Event.Id | table Id",
);
pub(super) static CEF: ModuleSpec = planned(
    "cef",
    "members of common event format text",
    &["cef [-e EV] [-s] FIELD [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per field",
    "tag=fw cef DeviceVendor | table DeviceVendor",
);
pub(super) static SYSLOG: ModuleSpec = planned(
    "syslog",
    "members of syslog text",
    &["syslog [-e EV] [-s] FIELD [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per field",
    "tag=syslog syslog Appname | count by Appname | table",
);
pub(super) static WINLOG: ModuleSpec = planned(
    "winlog",
    "members of Windows events",
    &["winlog [-e EV] FIELD [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per field",
    "tag=windows winlog EventID | count by EventID | table",
);
pub(super) static PATH: ModuleSpec = planned(
    "path",
    "parts of a path",
    &["path [-e EV] PART..."],
    EXTRACT,
    "a value per part",
    "tag=apps path -e file base | table base",
);
pub(super) static AX: ModuleSpec = planned(
    "ax",
    "extract by the tag's own definition",
    &["ax [-e EV] FIELD [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per field",
    "tag=apps ax user | table user",
);
pub(super) static FILETYPE: ModuleSpec = planned(
    "filetype",
    "MIME type by the first bytes",
    &["filetype [-e EV] NAME [OP VALUE]"],
    EXTRACT,
    "the name given",
    "tag=pcap packet tcp.Payload | filetype -e Payload type | count by type | table",
);
pub(super) static INTRINSIC: ModuleSpec = planned(
    "intrinsic",
    "values that were attached when the entry was stored",
    &["intrinsic NAME [OP VALUE]..."],
    &[],
    "the names given",
    "tag=pcap intrinsic interface | count by interface | table",
);
pub(super) static DUMP: ModuleSpec = planned(
    "dump",
    "rows of a table as entries",
    &["dump -r RESOURCE [COLUMN [OP VALUE]]..."],
    &[
        R,
        T,
        flag("-p", "beside the data"),
        valued("-tz", "a zone", "time zone of the time column"),
        valued("-f", "a layout", "form of the time column"),
    ],
    "a value per column",
    "tag=default dump -r hosts ip name | table ip name",
);
pub(super) static TAINT: ModuleSpec = planned(
    "taint",
    "follow who talked to whom",
    &["taint -pz VALUE SOURCE TARGET"],
    &[
        valued("-pz", "a value", "where it begins"),
        valued("-f", "a value", "where it ended"),
        flag("-b", "both ways"),
        flag("-a", "all"),
    ],
    "nothing",
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP | taint -pz 10.0.0.1 SrcIP DstIP | table",
);
pub(super) static KMEANS: ModuleSpec = planned(
    "kmeans",
    "group entries by nearness",
    &["kmeans [-k 3] EV..."],
    &[
        valued("-k", "a number", "groups"),
        valued("-centroids", "a name", "known centres"),
        R,
    ],
    "cluster, distance, count",
    "tag=pcap packet ipv4.Length ipv4.TTL | kmeans -k 3 Length TTL | table",
);
pub(super) static DNS: ModuleSpec = planned(
    "dns",
    "ask the name service",
    &["dns [-reverse] [-l N] EV as NAME"],
    &[
        flag("-reverse", "names of addresses"),
        valued("-l", "a number", "lookups"),
    ],
    "the name given",
    "tag=pcap packet ipv4.DstIP | unique DstIP | dns -reverse DstIP as host | table",
);
pub(super) static ANONYMIZE: ModuleSpec = planned(
    "anonymize",
    "stable invented values",
    &["anonymize EV..."],
    &[],
    "the values anew",
    "tag=pcap packet ipv4.SrcIP | anonymize SrcIP | table SrcIP",
);
pub(super) static LOCATION: ModuleSpec = planned(
    "location",
    "a place of latitude and longitude",
    &["location LAT LONG [as NAME]"],
    &[],
    "Location",
    "tag=gps json lat long | location lat long | table Location",
);
pub(super) static GEODIST: ModuleSpec = planned(
    "geodist",
    "distance of two places",
    &["geodist A B [as NAME]"],
    &[],
    "distance",
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP | geoip SrcIP.Location as a DstIP.Location as b | geodist a b | table",
);
pub(super) static REINGEST: ModuleSpec = planned(
    "reingest",
    "store what is left under another tag",
    &["reingest [-nodata] [-now] TAG"],
    &[
        flag("-nodata", "without DATA"),
        flag("-now", "with the present time"),
    ],
    "nothing",
    "tag=pcap packet tcp.RST==true | reingest resets",
);
pub(super) static LANGFIND: ModuleSpec = planned(
    "langfind",
    "natural language of a text",
    &["langfind [-e EV]"],
    &[E],
    "lang",
    "tag=pcap packet tcp.Payload | langfind -e Payload | count by lang | table",
);
pub(super) static NETFLOW: ModuleSpec = planned(
    "netflow",
    "records of NetFlow version 5",
    &["netflow [-e EV] FIELD [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per field",
    "tag=netflow netflow Src Bytes | sum Bytes by Src | table",
);
pub(super) static IPFIX: ModuleSpec = planned(
    "ipfix",
    "records of IPFIX and NetFlow version 9",
    &["ipfix [-e EV] [-s] [-f] FIELD [OP VALUE] [as NAME]..."],
    &[E, S, flag("-f", "list the fields present")],
    "a value per field",
    "tag=ipfix ipfix src bytes | sum bytes by src | table",
);
pub(super) static J1939: ModuleSpec = planned(
    "j1939",
    "messages of vehicle networks",
    &["j1939 [-e EV] FIELD [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per field",
    "tag=trucks j1939 PGN Data | table PGN Data",
);
pub(super) static CANBUS: ModuleSpec = planned(
    "canbus",
    "messages of the CAN bus",
    &["canbus FIELD [OP VALUE] [as NAME]..."],
    EXTRACT,
    "a value per field",
    "tag=vehicles canbus ID Data | table ID Data",
);
pub(super) static WORDCLOUD: ModuleSpec = planned_renderer(
    "wordcloud",
    "keys as words, sized by a number",
    &["wordcloud MAGNITUDE [by EV...]"],
    &[],
    "tag=pcap packet ipv4.SrcIP | count by SrcIP | wordcloud count",
);

const PLACE: &[FlagSpec] = &[
    valued("-loc", "a value", "place"),
    valued("-lat", "a value", "latitude"),
    valued("-long", "a value", "longitude"),
];

pub(super) static POINTMAP: ModuleSpec = planned_renderer(
    "pointmap",
    "points on a map",
    &["pointmap [-loc EV] [EV...]"],
    PLACE,
    "tag=pcap packet ipv4.SrcIP | geoip SrcIP.Location | pointmap SrcIP",
);
pub(super) static HEATMAP: ModuleSpec = planned_renderer(
    "heatmap",
    "heat on a map",
    &["heatmap [-loc EV] [MAGNITUDE]"],
    PLACE,
    "tag=pcap packet ipv4.SrcIP | geoip SrcIP.Location | heatmap",
);
pub(super) static POINT2POINT: ModuleSpec = planned_renderer(
    "point2point",
    "arcs on a map",
    &["point2point -srcloc EV -dstloc EV [-mag EV] [EV...]"],
    &[
        valued("-srcloc", "a value", "place of the source"),
        valued("-dstloc", "a value", "place of the target"),
        valued("-srclat", "a value", "latitude of the source"),
        valued("-srclong", "a value", "longitude of the source"),
        valued("-dstlat", "a value", "latitude of the target"),
        valued("-dstlong", "a value", "longitude of the target"),
        valued("-mag", "a value", "size of the arc"),
    ],
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP | geoip SrcIP.Location as s DstIP.Location as d | point2point -srcloc s -dstloc d",
);
