use super::*;

/// What is read, as words; nothing if it is not understood.
fn told(read: &Result<Operations, &'static str>) -> String {
    read.as_ref().map(Operations::to_string).unwrap_or_default()
}

#[test]
fn documents() {
    for (text, expected) in [
        ("{viewer{login}}", "query of viewer"),
        ("query{viewer{login}}", "query of viewer"),
        ("query Q($n:Int=1)@a(b:[{c:\"}\"}]){a:viewer @skip(if:true){login} node(id:$n){id}}", "query of viewer, node"),
        ("mutation{query:createIssue(input:{}){id}}", "mutation of createIssue"),
        ("mutation query{viewer:createIssue{id}}", "mutation of createIssue"),
        ("subscription{query{id}}", "subscription of query"),
        ("query mutation{mutation{subscription}}", "query of mutation"),
        ("query A{a} mutation B{b}", "query of a; mutation of b"),
        ("\u{feff}query{a}", "query of a"),
        ("#mutation{x}\r\nquery{a}#", "query of a"),
        ("query{a(b:\"mutation{c}\")}", "query of a"),
        ("query{a(b:[\"\" \"c\"])__typename}", "query of a"),
        ("{__typename}", "query of __typename"),
        ("query A{a ...F}query B{b ...F}fragment F on Q{c c}", "query of a, c; query of b, c"),
        ("query{a(b:\"\\\"}mutation{c}\")}", "query of a"),
        ("query{...A}fragment A on Query{b ...B}fragment B on Query{c}", "query of b, c"),
        ("mutation{...{...on Mutation@x{a}}}", "mutation of a"),
        ("query{...A a}fragment A on Query{...A ...B b}fragment B on Query{...A}", "query of a, b"),
        ("fragment A on Mutation{z}query{a}", "query of a"),
        ("mutation\u{feff},#x\n{a}", "mutation of a"),
    ] {
        assert_eq!(told(&document(text)), expected, "{text}");
    }
}

/// What is no document, or one to some parsers only.
#[test]
fn what_is_read_in_several_ways_is_not_understood() {
    for text in [
        "",
        " ",
        "#query{a}",
        "query",
        "query{}",
        "query{a",
        "query{a}}",
        "Mutation{a}",
        "MUTATION{a}",
        "query{a} mutation",
        "query{a} drop{b}",
        "fragment A on Query{a}",
        "query{...A}",
        "query{...A}fragment A on Query{...A}",
        "query{...A}fragment A on Query{a}fragment A on Mutation{b}",
        "query{a}type T{a:Int}",
        "schema{query:Mutation}query{a}",
        "extend type Query{a:Int}{a}",
        // Line ends that some know, and others take for a part of the comment.
        "query{a}#\rmutation{b}",
        "query{a}#\u{2028}mutation{b}",
        "query{a}#\u{2029}mutation{b}",
        "query{a}#\u{85}mutation{b}",
        "query{a}#\u{b}mutation{b}",
        "query{a}#\u{c}mutation{b}",
        "query{a}\0mutation{b}",
        "query{a}\u{a0}mutation{b}",
        // Only one of several can be asked for by no name.
        "{a}query B{b},,,{c}",
        "query A{a}query A{b}",
        // graphql-ruby runs B: quotes that touch are more of one string to it.
        "query A{a(x:[\"\"\"a\"\"\"\"\"\"\"\"\"#\"\"\"])}mutation B{b}query C{a(x:[\n])}",
        "query A{a(x:[\"\"\"a\"\"\"\"])}mutation B{b}query C{a(x:[\" \"#\"\n])}",
        "query{a(x:[\"a\"\"b\"])}",
        // GitLab runs B: before it is parsed, quotes are counted, in comments too, and escaped backslashes are not.
        "#\"\nquery A{a(y:\"\\\\\",x:\"\"\"\nmutation B{b}\n#\"\"\")}",
        "query A{a(y:\"\\\\\")#\n}mutation B{b}",
        "#\"\nquery{a}",
        "query{a(b:\"\"\"mutation{c}\n\"\"\")}",
        // Where block strings are unknown, this has a mutation.
        "query{a(x:[\"\"\"x\"])}mutation{b}query z{a(x:[\"]\"\"\"])}",
        "query{a(x:\"\"\"\\\"\"\"\"\"\")}",
        "query{a(x:\"\n\")}",
        "query{a(x:01)}",
        "query{a(x:\"\\x\")}",
    ] {
        assert_eq!(told(&document(text)), "", "{text:?}");
    }
}

/// On a thread's smallest stack.
#[test]
fn what_is_deep_or_long_is_not_understood() {
    let nested = |open: &str, close: &str, times: usize| format!("{{a{}{}}}", open.repeat(times), close.repeat(times));
    let deep = move || {
        assert_eq!(told(&document(&nested("{a", "}", 40))), "query of a");
        for times in [70, 5000] {
            for (open, close) in [("{a", "}"), ("{...", "{b}}"), ("(x:[", "])"), ("@a(x:{b:", "})")] {
                assert_eq!(told(&document(&nested(open, close, times))), "", "{open}");
            }
            let (open, close) = ("[".repeat(times), "]".repeat(times));
            assert_eq!(told(&document(&format!("{{a(x:{open}{close})}}"))), "");
            assert_eq!(told(&document(&format!("query($x:{open}Int{close}){{a}}"))), "");
            assert_eq!(told(&document(&format!("{{a{}", "{a".repeat(times)))), "");
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(deep).unwrap().join().unwrap();
    assert_eq!(document(&format!("{{a #{}\n}}", "a".repeat(MAX_GRAPHQL))), Err(TOO_LONG));
    assert_eq!(document(&format!("{{{}}}", "a,".repeat(MAX_TOKENS / 2 - 10))).unwrap().0.len(), 1);
    assert_eq!(document(&format!("{{{}}}", "a,".repeat(MAX_TOKENS - 10))), Err(NO_DOCUMENT));
    // Some megabytes of names, if each operation is read to its end.
    let many = (0..2000).map(|n| format!("query Q{n}{{...A}}")).collect::<Vec<_>>().concat();
    assert_eq!(document(&format!("{many}fragment A on Q{{{}}}", "a,".repeat(5000))), Err(TOO_LONG));
    let names = |count: usize| (0..count).map(|n| format!("a{n},")).collect::<Vec<_>>().concat();
    assert_eq!(document(&format!("{{{}}}", names(MAX_FIELDS))).unwrap().0[0].fields.len(), MAX_FIELDS);
    assert_eq!(document(&format!("{{{}}}", names(MAX_FIELDS + 1))), Err(TOO_LONG));
    let link = |n: usize| format!("fragment A{n} on Q{{...A{}}}", n + 1);
    let chain = (0..500).map(link).collect::<Vec<_>>().concat();
    assert_eq!(told(&document(&format!("{{...A0}}{chain}fragment A500 on Q{{a}}"))), "query of a");
}

#[test]
fn requests() {
    for (body, expected) in [
        (r#"{"query":"{a}"}"#, "query of a"),
        (r#" {"operationName":"A","variables":{"x":{"query":"mutation{b}"}},"query":"query A{a}"}"#, "query of a"),
        (r#"{"qu\u0065ry":"\u007ba}","operationName":null,"extensions":null}"#, "query of a"),
        (r#"{"query":"{a}","extensions":{"clientLibrary":{"name":"x"}}}"#, "query of a"),
        (r#"{"query":"query A{a}mutation B{b}","operationName":"A"}"#, "query of a; mutation of b"),
        (r#"[{"query":"{a}"},{"query":"mutation{b}"}]"#, "query of a; mutation of b"),
    ] {
        assert_eq!(told(&json(body.as_bytes())), expected, "{body}");
    }
    for body in [
        "",
        "[]",
        "\"{a}\"",
        "{}",
        r#"{"query":null}"#,
        r#"{"query":["{a}"]}"#,
        r#"{"query":"{a}","query":"{a}"}"#,
        r#"{"query":"{a}","Query":"mutation{b}"}"#,
        r#"{"query":"{a}","variables":{},"variables":{}}"#,
        r#"{"query":"{a}"}{"query":"mutation{b}"}"#,
        r#"["{a}"]"#,
        r#"[["{a}",null,null,null]]"#,
        r#"[[{"query":"{a}"}]]"#,
        r#"{"query":"{a}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"0"}}}"#,
        r#"{"query":"{a}","extensions":"{}"}"#,
        r#"{"query":"{a}","extensions":[null]}"#,
        r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"0"}}}"#,
        r#"{"query":"{a}","id":"0"}"#,
        r#"{"query":"{a}","doc_id":"0"}"#,
        r#"{"query":"{a}","_json":[{"query":"mutation{b}"}]}"#,
        r#"{"query":"{a}\ud800"}"#,
        "\u{feff}{\"query\":\"{a}\"}",
    ] {
        assert_eq!(told(&json(body.as_bytes())), "", "{body}");
    }
    let long = format!("{{\"query\":\"{{a}}#{}\"}}", "x".repeat(MAX_GRAPHQL / 2));
    assert_eq!(json(format!("[{long},{long}]").as_bytes()), Err(TOO_LONG));
}

#[test]
fn queries() {
    for (form, expected) in [
        ("query=%7Ba%7D", "query of a"),
        ("query=query+A%7Ba%7D&operationName=A&variables=%7B%7D&extensions=%7B%7D", "query of a"),
        ("variables=mutation&query=mutation%7Ba%7D", "mutation of a"),
    ] {
        assert_eq!(told(&parameters(form)), expected, "{form}");
    }
    for form in [
        "",
        "query",
        "query=",
        "variables=%7B%7D",
        "query=%7Ba%7D&query=mutation%7Bb%7D",
        "query=%7Ba%7D&query[]=mutation%7Bb%7D",
        "query=%7Ba%7D;query=mutation%7Bb%7D",
        "query=%7Ba%7D&Query=mutation%7Bb%7D",
        "query=%7Ba%7D&_json[][query]=mutation%7Bb%7D",
        "query=%7Ba%7D&extensions=%7B%22persistedQuery%22:1%7D",
        "query=%7Ba%7D&extensions=x",
        "query=%7Ba%7D&id=1",
        "query=%7Ba%7D&variables=1&variables=2",
        "query=%7Ba%7D%00mutation%7Bb%7D",
        "query=%7Ba%7D%zz",
    ] {
        assert_eq!(told(&parameters(form)), "", "{form}");
    }
}
