use proton_grpc::control_plane::bundle::{Manifest, Problem, Schema, TemplateKind, compat};

const KINDS: [TemplateKind; 4] = [
    TemplateKind::Environment {
        customer_managed: false,
    },
    TemplateKind::Environment {
        customer_managed: true,
    },
    TemplateKind::Service {
        customer_managed_pipeline: false,
    },
    TemplateKind::Service {
        customer_managed_pipeline: true,
    },
];

/// A manifest names files of its own folder, and a problem fits a status line.
pub fn manifest(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    match Manifest::read("manifest.yaml", text) {
        Ok(Manifest::CloudFormation { file }) => {
            assert!(!file.split('/').any(|name| matches!(name, "" | "." | "..")));
        }
        Ok(_) => {}
        Err(problem) => fits(&problem),
    }
}

/// A schema keeps its text, and whether it may follow itself is told within bounds.
pub fn schema(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let kind = KINDS[bytes.len() % KINDS.len()];
    match Schema::parse(kind, text) {
        Ok(schema) => {
            assert_eq!(schema.text(), text);
            if let Err(problem) = compat::check(&schema, &schema) {
                fits(&problem);
            }
        }
        Err(problem) => fits(&problem),
    }
}

fn fits(problem: &Problem) {
    assert!(problem.message().chars().count() <= 1000);
}
