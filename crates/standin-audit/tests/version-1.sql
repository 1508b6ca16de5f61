CREATE TABLE session (
    id TEXT PRIMARY KEY,
    started_us INTEGER NOT NULL,
    ended_us INTEGER,
    command TEXT NOT NULL,
    workspace TEXT NOT NULL,
    exit_code INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE record (
    session TEXT NOT NULL REFERENCES session(id),
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    ingress TEXT NOT NULL,
    protocol TEXT NOT NULL,
    scheme TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    method TEXT,
    target TEXT,
    verdict TEXT NOT NULL,
    reason TEXT,
    rule TEXT,
    credentials TEXT NOT NULL,
    status INTEGER,
    bytes_out INTEGER NOT NULL,
    bytes_in INTEGER NOT NULL,
    peer TEXT,
    outcome TEXT NOT NULL,
    detail TEXT,
    PRIMARY KEY (session, id)
) STRICT, WITHOUT ROWID;
INSERT INTO session VALUES ('s2', 20, 29, 'false', '/w', 1), ('s1', 10, 19, 'true', '/w', 0);
INSERT INTO record VALUES
    ('s2', 1, 'connection', 21, 5, 'connect', 'raw', 'https', 'evil.example', 22, NULL, NULL, 'deny', 'host_not_allowed',
     NULL, '', NULL, 0, 0, NULL, 'denied', 'gone'),
    ('s1', 2, 'exchange', 12, 5, 'transparent', 'h1', 'https', 'two.example', 443, 'GET', '/', 'allow', NULL,
     'allow[0]', '', 200, 0, 7, '192.0.2.1:443', 'completed', NULL),
    ('s1', 1, 'exchange', 11, 5, 'transparent', 'h1', 'https', 'one.example', 443, 'GET', '/', 'allow', NULL,
     'allow[0]', 'github', 200, 0, 7, '192.0.2.1:443', 'completed', NULL);
PRAGMA user_version = 1;
