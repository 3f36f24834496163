//! Several replicas on one PostgreSQL.
