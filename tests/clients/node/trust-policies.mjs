// Trust policies of all three providers: added, listed, and removed again. Prints what each call returned.
import {depot} from '@depot/sdk-node'

const headers = {Authorization: `Bearer ${process.env.DEPOT_TOKEN}`}
const projectId = process.env.DEPOT_PROJECT_ID
const projects = depot.core.v1.ProjectService
const list = async () =>
  (await projects.listTrustPolicies({projectId}, {headers})).trustPolicies.map((policy) => policy.toJson())

const providers = [
  {case: 'github', value: {repositoryOwner: 'acme', repository: 'app'}},
  {case: 'buildkite', value: {organizationSlug: 'acme', pipelineSlug: 'app'}},
  {
    case: 'circleci',
    value: {
      organizationUuid: '11111111-2222-4333-8444-555555555555',
      projectUuid: '66666666-7777-4888-9999-aaaaaaaaaaaa',
    },
  },
]
const added = []
for (const provider of providers) {
  const {trustPolicy} = await projects.addTrustPolicy({projectId, provider}, {headers})
  added.push(trustPolicy.toJson())
}
const listed = await list()
const left = []
for (const {trustPolicyId} of added) {
  await projects.removeTrustPolicy({projectId, trustPolicyId}, {headers})
  left.push((await list()).length)
}

console.log(JSON.stringify({added, listed, left}))
