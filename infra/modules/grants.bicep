metadata description = 'Types of the roles that modules assign or list.'

@export()
@description('A role to assign; without container and queue, on the whole resource')
type grant = {
  to: who
  role: string
  container: string?
  queue: string?
}

@export()
type who = 'app' | 'administrator' | 'readers'

@export()
@description('The principals behind the names. The id of the app is unknown before a deployment, so roles are counted by name')
type everybody = {
  app: principal
  administrator: principal
  readers: principal
}

type principal = {
  id: string
  type: string
}

@export()
@description('A role assignment, made or still to be made')
type assignment = {
  role: string
  roleId: string
  scope: string
  principalId: string
  principalType: string
}
