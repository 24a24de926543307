// Calls the emulator through Neon's typed client, and prints every call with its answer: [{method, url, status, data}].

import { createApiClient } from "@neondatabase/api-client";

const api = createApiClient({ apiKey: process.env.NEON_API_KEY, baseURL: process.env.NEON_API_HOST });
const calls = [];
api.instance.interceptors.response.use((answer) => {
  const { method, url } = answer.config;
  calls.push({ method, url: url.split("?")[0], status: answer.status, data: answer.data });
  return answer;
});

// The data of an answer whose operations have ended.
async function done(promise) {
  const { data } = await promise;
  for (const operation of data.operations ?? []) {
    for (;;) {
      const found = await api.getProjectOperation(operation.project_id, operation.id);
      if (!["scheduling", "running"].includes(found.data.operation.status)) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return data;
}

await api.getCurrentUserInfo();
await api.getCurrentUserOrganizations();
await api.getActiveRegions();
const made = await done(
  api.createProject({ project: { name: "typed", branch: { role_name: "app_owner", database_name: "app" } } }),
);
const project = made.project.id;
const [main, compute] = [made.branch.id, made.endpoints[0].id];
try {
  await api.listProjects({});
  await api.listSharedProjects({});
  await api.getProject(project);
  await api.updateProject(project, { project: { name: "typed again" } });
  await api.getConnectionUri({ projectId: project, database_name: "app", role_name: "app_owner", pooled: true });
  await api.listProjectOperations({ projectId: project });

  const role = { role: { name: "reader" } };
  await done(api.createProjectBranchRole(project, main, role));
  await api.listProjectBranchRoles(project, main);
  await api.getProjectBranchRole(project, main, "reader");
  await api.getProjectBranchRolePassword(project, main, "reader");
  await done(api.resetProjectBranchRolePassword(project, main, "reader"));
  await done(api.createProjectBranchDatabase(project, main, { database: { name: "second", owner_name: "reader" } }));
  await api.listProjectBranchDatabases(project, main);
  await api.getProjectBranchDatabase(project, main, "second");
  await done(api.updateProjectBranchDatabase(project, main, "second", { database: { name: "other" } }));
  await done(api.deleteProjectBranchDatabase(project, main, "other"));
  await done(api.deleteProjectBranchRole(project, main, "reader"));

  await api.listProjectEndpoints(project);
  await api.listProjectBranchEndpoints(project, main);
  await api.getProjectEndpoint(project, compute);
  await done(api.updateProjectEndpoint(project, compute, { endpoint: { suspend_timeout_seconds: 60 } }));
  await done(api.suspendProjectEndpoint(project, compute));
  await done(api.startProjectEndpoint(project, compute));
  await done(api.restartProjectEndpoint(project, compute));

  const child = (await done(api.createProjectBranch(project, { branch: { name: "dev" } }))).branch.id;
  await api.listProjectBranches({ projectId: project });
  await api.getProjectBranch(project, child);
  await done(api.updateProjectBranch(project, child, { branch: { name: "feature" } }));
  await done(api.restoreProjectBranch(project, child, { source_branch_id: main, preserve_under_name: "before" }));
  await done(api.setDefaultProjectBranch(project, child));
  await done(api.setDefaultProjectBranch(project, main));
  const added = await done(api.createProjectEndpoint(project, { endpoint: { branch_id: child, type: "read_write" } }));
  await done(api.deleteProjectEndpoint(project, added.endpoint.id));
  await api.getProjectBranchSchema({ projectId: project, branchId: child, db_name: "app" });
  await api.getProjectBranchSchema({ projectId: project, branchId: child, db_name: "app", format: "json" });
  await api.getProjectBranchSchemaComparison({ projectId: project, branchId: child, db_name: "app" });
  await done(api.deleteProjectBranch({ projectId: project, branchId: child }));
  await done(api.recoverProjectBranch(project, child));

  const taken = (await done(api.createSnapshot({ projectId: project, branchId: main, name: "taken" }))).snapshot.id;
  await api.listSnapshots(project);
  await api.updateSnapshot(project, taken, { snapshot: { name: "kept" } });
  const back = await done(api.restoreSnapshot({ projectId: project, snapshotId: taken }, { target_branch_id: main }));
  await done(api.finalizeRestoreBranch(project, back.branch.id, { name: "replaced" }));
  await done(api.deleteSnapshot(project, taken));
} finally {
  await api.deleteProject(project);
}
process.stdout.write(JSON.stringify(calls));
