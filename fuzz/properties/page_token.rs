use proton_grpc::{
    api::{operation, pb},
    control_plane::{Caller, pagination::Page},
};

fn page(template: &str, token: Option<String>) -> Option<Page> {
    let request = pb::ListEnvironmentTemplateVersionsRequest {
        template_name: template.to_owned(),
        ..Default::default()
    };
    let caller = Caller::new("111111111111", "us-east-1");
    Page::of::<operation::ListEnvironmentTemplateVersions>(&caller, &request, Some(1), token).ok()
}

fn next(page: &Page, position: &str) -> String {
    let (_, token) = page.cut(vec![position, ""], |position| (*position).to_owned());
    token.expect("there was more than a page")
}

/// Whatever a token says, its page begins there and nowhere else; a token of one list is none of another.
pub fn page_token(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Some(opened) = page("web", Some(text.to_owned())) {
        let position = opened
            .after()
            .expect("a page with a token begins somewhere");
        let again = page("web", Some(next(&opened, position))).expect("our own token opens");
        assert_eq!(again.after(), Some(position));
    }
    let token = next(
        &page("web", None).expect("the first page needs no token"),
        text,
    );
    let opened = page("web", Some(token.clone())).expect("our own token opens");
    assert_eq!(opened.after(), Some(text));
    assert!(page("job", Some(token)).is_none());
}
