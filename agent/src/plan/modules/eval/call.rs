//! Functions and casts of eval.

use super::super::super::functions::{self, FunctionSpec, ResultType};
use super::super::super::networks::parse_networks;
use super::super::super::pipeline::{Expr, Literal};
use super::super::super::report::{Outcome, error, hinted, nearest};
use super::expression::{number, text_of, truth};
use super::{Eval, Typed};
use crate::lang::ast::{EvalExpr, Spanned};
use crate::lang::diagnostic::Span;
use crate::types::EvType;

/// Functions that are compiled to expressions.
const BUILT_IN: [&str; 4] = ["has", "in", "type", "typeOf"];

impl Eval<'_> {
    /// `f(a, b)`.
    pub(super) fn call(
        &mut self,
        function: &Spanned<String>,
        args: &[Spanned<EvalExpr>],
        span: Span,
    ) -> Outcome<Typed> {
        let name = function.value.to_ascii_lowercase();
        match name.as_str() {
            "has" => return self.has(function, args),
            "in" => return self.is_in(function, args, span),
            "type" | "typeof" => {
                let value = self.only(function, args)?;
                let text = Expr::Literal(Literal::String(value.ty.to_string()));
                return Ok(Typed::new(text, EvType::String));
            }
            _ => {}
        }
        if let Some(ty) = cast_type(&name) {
            let value = self.only(function, args)?;
            let at = args.first().map_or(span, |arg| arg.span);
            return cast(value, ty, at);
        }
        let Some(spec) = functions::find(&name).filter(|spec| spec.in_eval) else {
            return Err(unknown(function));
        };
        self.function(spec, function, args)
    }

    fn function(
        &mut self,
        spec: &'static FunctionSpec,
        function: &Spanned<String>,
        args: &[Spanned<EvalExpr>],
    ) -> Outcome<Typed> {
        if !(spec.arity.0..=spec.arity.1).contains(&args.len()) {
            return Err(wrong_count(function, spec.args));
        }
        let mut typed = Vec::new();
        for arg in args {
            typed.push((self.expression(&arg.value, arg.span)?, arg.span));
        }
        match spec.name {
            "ip_in_cidr" => return in_network(typed),
            "match" => check_pattern(&typed)?,
            _ => {}
        }
        let first = typed.first().map_or(EvType::String, |(value, _)| value.ty);
        let mut values = Vec::new();
        for (value, span) in typed {
            values.push(argument(spec, value, span)?.expr);
        }
        let ty = match spec.result {
            ResultType::Fixed(ty) => ty,
            ResultType::First | ResultType::Kind | ResultType::Field => first,
        };
        Ok(Typed::new(Expr::Call(spec.name, values, ty), ty))
    }

    /// The only argument.
    fn only(&mut self, function: &Spanned<String>, args: &[Spanned<EvalExpr>]) -> Outcome<Typed> {
        match args {
            [arg] => self.expression(&arg.value, arg.span),
            _ => Err(wrong_count(function, "value")),
        }
    }

    /// Whether a value exists; asking is no mistake where nothing produces it.
    fn has(&mut self, function: &Spanned<String>, args: &[Spanned<EvalExpr>]) -> Outcome<Typed> {
        if let [arg] = args
            && let EvalExpr::Name(name) | EvalExpr::Str(name) = &arg.value
        {
            let assigned = self.names.iter().any(|(known, _)| known == name);
            if !assigned && !self.scope.opaque && !self.scope.is_value(name) {
                return Ok(Typed::literal(Literal::Bool(false), EvType::Bool));
            }
            let value = self.expression(&EvalExpr::Name(name.clone()), arg.span)?;
            return Ok(Typed::new(
                Expr::IsPresent(Box::new(value.expr)),
                EvType::Bool,
            ));
        }
        Err(wrong_count(function, "name of a value"))
    }

    /// Whether the first argument equals one of the others.
    fn is_in(
        &mut self,
        function: &Spanned<String>,
        args: &[Spanned<EvalExpr>],
        span: Span,
    ) -> Outcome<Typed> {
        let Some((value, candidates)) = args.split_first() else {
            return Err(wrong_count(function, "value, candidate..."));
        };
        let typed = self.expression(&value.value, value.span)?;
        let mut tests = Vec::new();
        for candidate in candidates {
            let listed = match &candidate.value {
                EvalExpr::Array(list) => list.as_slice(),
                _ => std::slice::from_ref(candidate),
            };
            for item in listed {
                let other = self.expression(&item.value, item.span)?;
                let pair = (typed.clone(), value.span);
                tests.push(self.equal(pair, (other, item.span), span)?);
            }
        }
        Ok(Typed::new(Expr::Or(tests), EvType::Bool))
    }
}

/// The type that a cast names; the `to` forms are of older queries.
fn cast_type(name: &str) -> Option<EvType> {
    Some(match name {
        "int" | "int8" | "int16" | "int32" | "int64" | "toint" => EvType::Int64,
        "byte" | "uint8" => EvType::UInt8,
        "uint16" => EvType::UInt16,
        "uint32" => EvType::UInt32,
        "uint64" | "uint" | "touint" => EvType::UInt64,
        "float" | "float32" | "float64" | "tofloat" => EvType::Float64,
        "string" | "tostring" => EvType::String,
        "ip" | "toip" => EvType::Ip,
        "mac" | "tomac" => EvType::Mac,
        "duration" | "toduration" => EvType::Duration,
        "time" | "totime" => EvType::Time,
        "bool" | "tobool" => EvType::Bool,
        _ => return None,
    })
}

fn cast(value: Typed, ty: EvType, span: Span) -> Outcome<Typed> {
    if value.ty == ty {
        return Ok(value);
    }
    let textual = matches!(value.ty, EvType::String | EvType::Bytes);
    let counts = value.ty.is_number() || matches!(value.ty, EvType::Time | EvType::Duration);
    let from_text = |name: &'static str, value: Typed, mut more: Vec<Expr>| {
        more.insert(0, text_of(value).expr);
        Expr::Call(name, more, ty)
    };
    let expr = match ty {
        EvType::String => text_of(value).expr,
        EvType::Bool => truth(value),
        EvType::Ip if value.ty.is_ip() => Expr::Cast(Box::new(value.expr), ty),
        EvType::Ip if textual => {
            // A constant address is checked here, where there is a place to point at.
            if let Expr::Literal(Literal::String(text)) = &value.expr
                && let Ok(address) = text.parse::<std::net::IpAddr>()
            {
                let bytes = match address {
                    std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
                    std::net::IpAddr::V6(v6) => v6.octets(),
                };
                return Ok(Typed::literal(Literal::Ip(bytes), EvType::Ip));
            }
            from_text("to_ip", value, Vec::new())
        }
        EvType::Mac if textual => from_text("to_mac", value, Vec::new()),
        EvType::Duration if textual => from_text("to_duration", value, Vec::new()),
        EvType::Time if textual => {
            let layout = Expr::Literal(Literal::String(String::new()));
            from_text("parse_time", value, vec![layout])
        }
        EvType::Duration | EvType::Time if counts => Expr::Cast(Box::new(value.expr), ty),
        _ if ty.is_number() => {
            let value = match value.ty {
                EvType::Bytes => text_of(value),
                EvType::String => value,
                _ => number(value, span)?,
            };
            Expr::Cast(Box::new(value.expr), ty)
        }
        _ => {
            return Err(error(
                span,
                format!(
                    "a value of type {} cannot be made one of type {ty}",
                    value.ty
                ),
            ));
        }
    };
    Ok(Typed::new(expr, ty))
}

/// An argument in the type that a family of functions takes.
fn argument(spec: &FunctionSpec, value: Typed, span: Span) -> Outcome<Typed> {
    let family = |prefix: &str| spec.name.starts_with(prefix);
    if family("strings_") || matches!(spec.name, "match" | "to_ip" | "to_mac" | "to_duration") {
        return Ok(text_of(value));
    }
    if family("math_") {
        return number(value, span);
    }
    if spec.name == "slice" && !matches!(value.ty, EvType::Bytes) && !value.ty.is_integer() {
        return Ok(text_of(value));
    }
    Ok(value)
}

fn in_network(args: Vec<(Typed, Span)>) -> Outcome<Typed> {
    let mut args = args.into_iter();
    let (Some((address, at)), Some((network, span))) = (args.next(), args.next()) else {
        return Ok(Typed::literal(Literal::Bool(false), EvType::Bool));
    };
    let address = cast_address(address, at)?;
    let test = match &network.expr {
        Expr::Literal(Literal::String(text)) => match parse_networks(text) {
            Some(networks) => Expr::InSubnet(Box::new(address.expr), networks),
            None => return Err(error(span, format!("'{text}' is no network"))),
        },
        _ => Expr::Call(
            "ip_in_cidr_text",
            vec![address.expr, text_of(network).expr],
            EvType::Bool,
        ),
    };
    Ok(Typed::new(test, EvType::Bool))
}

fn cast_address(value: Typed, span: Span) -> Outcome<Typed> {
    if value.ty.is_ip() {
        Ok(value)
    } else {
        cast(value, EvType::Ip, span)
    }
}

fn check_pattern(args: &[(Typed, Span)]) -> Outcome {
    let Some((pattern, span)) = args.first() else {
        return Ok(());
    };
    match &pattern.expr {
        Expr::Literal(Literal::String(text)) => match regex::bytes::Regex::new(text) {
            Ok(_) => Ok(()),
            Err(_) => Err(error(*span, format!("'{text}' is no pattern"))),
        },
        _ => Err(error(*span, "the pattern must be a text in quotes")),
    }
}

fn wrong_count(function: &Spanned<String>, args: &str) -> crate::lang::diagnostic::Diagnostic {
    hinted(
        error(
            function.span,
            format!("{} has the wrong number of arguments", function.value),
        ),
        format!("it takes ({args})"),
    )
}

fn unknown(function: &Spanned<String>) -> crate::lang::diagnostic::Diagnostic {
    let problem = error(
        function.span,
        format!("eval has no function {} yet", function.value),
    );
    let known = functions::functions()
        .iter()
        .filter(|spec| spec.in_eval)
        .map(|spec| spec.name)
        .chain(BUILT_IN);
    match nearest(&function.value, known) {
        Some(near) => hinted(problem, format!("did you mean {near}?")),
        None => hinted(problem, "'flowsift modules eval' lists the functions"),
    }
}
