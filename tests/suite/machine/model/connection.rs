//! Connections between the two accounts.

use super::*;

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) meta: Meta,
    pub(super) id: String,
    pub(super) environment_account: By,
    management_account: By,
    environment: String,
    roles: BTreeMap<&'static str, String>,
    status: &'static str,
}

const ROLES: [&str; 3] = ["roleArn", "codebuildRoleArn", "componentRoleArn"];

impl Connection {
    fn view(&self, is_full: bool) -> Value {
        let resource = format!("environment-account-connection/{}", self.id);
        let role = |role| self.roles.get(role);
        let mut view = json!({
            "arn": arn_of(self.environment_account, &resource),
            "componentRoleArn": role("componentRoleArn"),
            "environmentAccountId": self.environment_account.account(),
            "environmentName": self.environment,
            "id": self.id,
            "lastModifiedAt": time(self.meta.changed),
            "managementAccountId": self.management_account.account(),
            "requestedAt": time(self.meta.created),
            "roleArn": role("roleArn").map_or("", |role| role),
            "status": self.status,
        });
        if is_full {
            view["codebuildRoleArn"] = json!(role("codebuildRoleArn"));
        }
        view
    }

    pub(super) fn role(&self, role: &str) -> Option<&String> {
        self.roles.get(role)
    }
}

impl Model {
    /// The connection by which the management account provisions something.
    pub(super) fn connected(&self, id: &str) -> Option<&Connection> {
        let mut connections = self.connections.iter();
        connections.find(|one| {
            one.id == id && one.management_account == By::Management && one.status == "CONNECTED"
        })
    }

    pub(super) fn is_for(&self, id: &str, environment: &str) -> bool {
        self.connected(id)
            .is_some_and(|connection| connection.environment == environment)
    }

    fn known_connection(&self, by: By, r: &Value) -> Option<usize> {
        self.connections.iter().position(|one| {
            one.id == need(r, "id")
                && [one.environment_account, one.management_account].contains(&by)
        })
    }

    fn connection_answer(&self, at: usize) -> Answer {
        Ok(json!({"environmentAccountConnection": self.connections[at].view(true)}))
    }

    pub(super) fn create_connection(&mut self, by: By, r: &Value) -> Answer {
        let operation = "CreateEnvironmentAccountConnection";
        let token = owned(r, "clientToken");
        let known = |used: &Used| {
            self.connections
                .iter()
                .any(|one| one.id == used.made && one.meta.token == token)
        };
        if let Some(id) = self.used(by, operation, r, known)? {
            let at = self.connections.iter().position(|one| one.id == id);
            return self.connection_answer(at.expect("it was made"));
        }
        let management_account = match need(r, "managementAccountId") {
            ACCOUNT => By::Management,
            _ => By::Other,
        };
        let own = self
            .connections
            .iter()
            .filter(|one| one.environment_account == by);
        let mut rules = Rules::default();
        let tags = rules.take(tags(r));
        rules.must(own.clone().count() < quota::CONNECTIONS, QUOTA);
        let is_same = |one: &Connection| {
            one.status == "PENDING"
                && one.management_account == management_account
                && one.environment == need(r, "environmentName")
        };
        rules.must(!own.clone().any(is_same), CONFLICT);
        rules.end()?;
        let id = self.id('c');
        let roles = ROLES
            .into_iter()
            .filter_map(|role| Some((role, owned(r, role)?)));
        self.connections.push(Connection {
            meta: self.meta(r, tags.unwrap_or_default(), &[]),
            id: id.clone(),
            environment_account: by,
            management_account,
            environment: need(r, "environmentName").to_owned(),
            roles: roles.collect(),
            status: "PENDING",
        });
        self.remember(by, operation, r, &id, self.now);
        self.connection_answer(self.connections.len() - 1)
    }

    pub(super) fn get_connection(&self, by: By, r: &Value) -> Answer {
        match self.known_connection(by, r) {
            Some(at) => self.connection_answer(at),
            None => refuse(NOT_FOUND),
        }
    }

    pub(super) fn list_connections(&self, by: By, r: &Value) -> Answer {
        let statuses = r["statuses"].as_array();
        let wanted = |one: &&Connection| {
            let side = match need(r, "requestedBy") {
                "MANAGEMENT_ACCOUNT" => one.management_account,
                _ => one.environment_account,
            };
            side == by
                && text(r, "environmentName").is_none_or(|name| name == one.environment)
                && statuses
                    .is_none_or(|statuses| statuses.iter().any(|status| status == one.status))
        };
        let views = self
            .connections
            .iter()
            .rev()
            .filter(wanted)
            .map(|one| one.view(false));
        Ok(json!({"environmentAccountConnections": views.collect::<Vec<_>>()}))
    }

    pub(super) fn update_connection(&mut self, by: By, r: &Value) -> Answer {
        let Some(at) = self.known_connection(by, r) else {
            return refuse(NOT_FOUND);
        };
        let (connection, now) = (&mut self.connections[at], self.now);
        if connection.environment_account != by {
            return refuse(DENIED);
        }
        for role in ROLES {
            if let Some(given) = owned(r, role) {
                connection.roles.insert(role, given);
            }
        }
        connection.meta.edit(now);
        self.connection_answer(at)
    }

    pub(super) fn delete_connection(&mut self, by: By, r: &Value) -> Answer {
        let Some(at) = self.known_connection(by, r) else {
            return Ok(json!({}));
        };
        if self.connections[at].environment_account != by {
            return refuse(DENIED);
        }
        let answer = self.connection_answer(at);
        self.connections.remove(at);
        answer
    }

    pub(super) fn decide_connection(&mut self, by: By, r: &Value, accepts: bool) -> Answer {
        let Some(at) = self.known_connection(by, r) else {
            return refuse(NOT_FOUND);
        };
        let (connection, now) = (&self.connections[at], self.now);
        if connection.management_account != by {
            return refuse(DENIED);
        }
        let mut environments = self.environments.values();
        let is_used =
            environments.any(|environment| environment.connection.as_ref() == Some(&connection.id));
        let next = match (connection.status, accepts) {
            ("PENDING", true) => "CONNECTED",
            ("REJECTED", true) => return refuse(CONFLICT),
            ("PENDING" | "CONNECTED", false) if is_used => return refuse(CONFLICT),
            ("PENDING" | "CONNECTED", false) => "REJECTED",
            _ => return self.connection_answer(at),
        };
        let connection = &mut self.connections[at];
        connection.status = next;
        connection.meta.edit(now);
        self.connection_answer(at)
    }
}
