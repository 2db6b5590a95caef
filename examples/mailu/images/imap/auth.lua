-- Asks admin over the internal network: nothing about accounts is kept here.
--
-- The name is looked up for each question: dovecot's client would keep an
-- address for a day, and a task of admin does not live that long.

local socket = require "socket"

local client

local function ask(path, headers)
  client = client or dovecot.http.client { request_timeout_msecs = 5000, connect_timeout_msecs = 1000, max_attempts = 2 }
  local address = socket.dns.toip("admin")
  if not address then
    return nil, "admin has no address"
  end
  local request = client:request { url = "http://" .. address .. ":8080/internal" .. path, method = "GET" }
  for name, value in pairs(headers or {}) do
    request:add_header(name, value)
  end
  local answer = request:submit()
  return answer, "admin: " .. answer:reason()
end

local function escape(s)
  return (s:gsub("[^%w%-_%.@]", function(c) return string.format("%%%02X", c:byte()) end))
end

function auth_userdb_lookup(req)
  local answer, reason = ask("/dovecot/userdb/" .. escape(req.user))
  if answer and answer:status() == 200 then
    return dovecot.auth.USERDB_RESULT_OK, ""
  elseif answer and answer:status() == 404 then
    return dovecot.auth.USERDB_RESULT_USER_UNKNOWN, "no such user"
  end
  return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, reason
end

function auth_userdb_iterate()
  local users = {}
  local answer, reason = ask("/dovecot/userdb/")
  if not answer or answer:status() ~= 200 then
    error(reason)
  end
  for user in answer:payload():gmatch('"([^"]+)"') do
    table.insert(users, user)
  end
  return users
end

function auth_password_verify(req, password)
  local answer, reason = ask("/auth/email", { ["Auth-User"] = escape(req.user), ["Auth-Pass"] = escape(password) })
  if not answer or answer:status() ~= 200 then
    return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, reason
  elseif answer:header("Auth-Status") == "OK" then
    return dovecot.auth.PASSDB_RESULT_OK, ""
  end
  return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, ""
end

function auth_passdb_lookup(req)
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN, "only with a password"
end
